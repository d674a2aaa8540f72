"""Fronts by hand, and what must hold for any points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jobs.ranking.pareto import nondominated, normalised, spacing, varying

POINTS = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.integers(-3, 3).map(float)
)


def test_a_front_by_hand():
    points = np.array([[3, 1], [2, 2], [1, 3], [2, 1], [1, 1], [2, 2]], float)
    # (2, 1) has (2, 2) above it, (1, 1) all others; of the two equal points none beats the other
    assert nondominated(points).tolist() == [True, True, True, False, False, True]


def test_of_one_measure_the_best_points_are_the_front():
    assert nondominated(np.array([[1.0], [2.0], [2.0]])).tolist() == [False, True, True]


@given(POINTS)
def test_every_point_off_the_front_is_beaten_by_one_on_it(points):
    front = nondominated(points)
    assert front.any()
    for point in points[~front]:
        better = (points[front] >= point).all(axis=1) & (points[front] > point).any(axis=1)
        assert better.any()
    for point in points[front]:
        assert not ((points >= point).all(axis=1) & (points > point).any(axis=1)).any()


def test_measures_that_are_the_same_for_all_are_left_out_unless_all_are():
    assert varying(np.array([[2.0, 5.0, 1.0], [4.0, 5.0, 0.0]])).tolist() == [[2, 1], [4, 0]]
    assert varying(np.array([[2.0, 5.0], [2.0, 5.0]])).tolist() == [[2, 5], [2, 5]]


def test_a_value_that_is_no_number_is_named():
    with pytest.raises(ValueError, match=r"values\[1, 0\] is nan"):
        nondominated(np.array([[1.0], [np.nan]]))


def test_normalised_from_worst_to_best_and_without_a_range_0():
    told = normalised(np.array([[2.0, 5.0], [4.0, 5.0]]), np.array([2.0, 5.0]), np.array([6.0, 5.0]))
    assert told.tolist() == [[0, 0], [0.5, 0]]


def test_spacing_by_hand():
    # nearest: .5 to the next for the first two, 1 for the last; their standard deviation is 1 / sqrt(12)
    assert spacing(np.array([[0, 0], [0.25, 0.25], [1, 0.5]])) == pytest.approx(12**-0.5)
    assert spacing(np.array([[0, 1], [0.5, 0.5], [1, 0]])) == 0
    assert spacing(np.array([[0, 1], [1, 0]])) == 0
