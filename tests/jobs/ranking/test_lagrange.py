"""The constrained choice of lists, beside all lists there are."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jobs.ranking.lagrange import constrained

GAIN = np.array([[8.0, 1.0, 0.0], [6.0, 5.0, 0.0]])
VALUE = np.array([[0.0, 1.0, 4.0], [0.0, 3.0, 4.0]])


def test_two_users_by_hand():
    # one item each: (8, 0) (1, 1) (0, 4) and (6, 0) (5, 3) (0, 4) of gain and value; of value 3 are needed
    found = constrained(GAIN, VALUE, 1, 3.0)
    assert found.picks.tolist() == [[True, False, False], [False, True, False]]
    assert (found.gain, found.value, found.most) == (13.0, 3.0, pytest.approx(13.0))
    # the second user gives up 1 of gain for 3 of value: a third each
    assert found.multiplier == pytest.approx(1 / 3)


def test_a_multiplier_that_is_close_enough_keeps_the_bound():
    found = constrained(GAIN, VALUE, 1, 3.0, close=0.1)
    assert 1 / 3 < found.multiplier < 1.1 / 3
    assert found.multiplier != constrained(GAIN, VALUE, 1, 3.0).multiplier
    assert found.value == 3.0


def test_a_bound_that_is_kept_anyway_costs_nothing():
    found = constrained(GAIN, VALUE, 1, 0.0)
    assert (found.multiplier, found.gain, found.most) == (0.0, 14.0, 14.0)


def test_the_highest_bound_is_the_best_value_and_beyond_it_there_is_none():
    assert constrained(GAIN, VALUE, 1, 8.0).value == 8.0
    with pytest.raises(ValueError, match="value must reach 9, but the best lists reach 8"):
        constrained(GAIN, VALUE, 1, 9.0)


def test_what_may_not_be_taken_is_not():
    banned = np.where(np.array([[True, False, False]] * 2), -np.inf, GAIN)
    found = constrained(banned, VALUE, 2, 0.0)
    assert found.picks.tolist() == [[False, True, True]] * 2
    assert found.gain == 6.0


@given(
    hnp.arrays(np.float64, (3, 4), elements=st.integers(0, 9).map(float)),
    hnp.arrays(np.float64, (3, 4), elements=st.integers(0, 9).map(float)),
    st.floats(0, 1),
)
def test_the_bound_is_kept_and_the_dual_bounds_what_any_lists_have(gain, value, share):
    pairs = [list(combinations(range(4), 2))] * 3
    worth = [
        (
            sum(gain[u, list(pick)].sum() for u, pick in enumerate(lists)),
            sum(value[u, list(pick)].sum() for u, pick in enumerate(lists)),
        )
        for lists in product(*pairs)
    ]
    bound = share * max(worth_of for _, worth_of in worth)
    found = constrained(gain, value, 2, bound)
    exact = max(earned for earned, kept in worth if kept >= bound)
    assert found.value >= bound - 1e-6
    assert found.picks.sum(axis=1).tolist() == [2, 2, 2]
    assert found.gain <= exact + 1e-6 <= found.most + 2e-6
    # no further from the bound than the largest difference of one user's lists
    largest = max(gain[u][list(a)].sum() - gain[u][list(b)].sum() for u in range(3) for a in pairs[0] for b in pairs[0])
    assert found.most - found.gain <= largest + 1e-6
