"""Bargains by hand, and what must hold for any front."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jobs.ranking.bargain import Bargain, choose

NAMES = ("ndcg", "revenue")
NASH = Bargain("nash", {"ndcg": 0.75}, {})
# the best of the shopper is 1, so the floor is .75; there revenue is 2
FRONT = np.array([[1.0, 2.0], [0.9375, 4.25], [0.875, 5.0], [0.8125, 6.5], [0.75, 8.0], [0.5, 20.0]])
FRONTS = hnp.arrays(np.float64, st.tuples(st.integers(1, 10), st.just(3)), elements=st.integers(0, 32).map(float))


def test_the_nash_point_by_hand():
    # gains over (.75, 2): (.25, 0), (.1875, 2.25), (.125, 3), (.0625, 4.5), (0, 6): products 0, .42, .375, .28, 0
    chosen = choose(FRONT, NAMES, NASH)
    assert chosen.point == 1
    assert chosen.allowed.tolist() == [True, True, True, True, True, False]
    assert chosen.disagreement.tolist() == [0.75, 2.0]
    # with twice the power of revenue: .1875 x 5.1, .125 x 9, .0625 x 20.25
    assert choose(FRONT, NAMES, Bargain("nash", {"ndcg": 0.75}, {"revenue": 2.0})).point == 3


def test_gains_are_counted_from_the_usual_point_where_it_is_named():
    # over (.75, 4.25), what the second point has: the third's .125 x .75, the fourth's .0625 x 2.25, the fifth's 0
    assert choose(FRONT, NAMES, NASH, 1).disagreement.tolist() == [0.75, 4.25]
    assert choose(FRONT, NAMES, NASH, 1).point == 3


def test_the_other_ways_by_hand():
    assert choose(FRONT, NAMES, Bargain("constraint", {"ndcg": 0.75}, {}, wanted="revenue")).point == 4
    assert choose(FRONT, NAMES, Bargain("constraint", {"ndcg": 0.875}, {}, wanted="revenue")).point == 2
    # of the allowed points scaled to (1, 0), (.75, .375), (.5, .5), (.25, .75), (0, 1): the second lies farthest out
    assert choose(FRONT, NAMES, Bargain("knee", {"ndcg": 0.75}, {})).point == 1
    assert choose(FRONT, NAMES, Bargain("fixed", {"ndcg": 0.75}, {})).point == 0


def test_a_bound_on_a_measure_is_kept_and_told_where_it_cannot_be():
    least = Bargain("nash", {"ndcg": 0.75}, {}, least=(("revenue", 6.0),))
    assert choose(FRONT, NAMES, least).point == 3
    beyond = Bargain("nash", {"ndcg": 0.75}, {}, least=(("revenue", 10.0),))
    assert choose(FRONT, NAMES, beyond).unmet == ("revenue",)
    assert choose(FRONT, NAMES, beyond).point == 1


def test_of_one_measure_and_of_equal_points_the_first_best():
    assert choose(np.array([[1.0], [2.0], [2.0]]), ("ndcg",), NASH).point == 1
    assert choose(np.ones((3, 2)), NAMES, NASH).point == 0


def test_whoever_no_point_can_serve_beside_the_others_goes_without():
    # revenue or variety, but no point has more of both than the first; variety has less power
    values = np.array([[1.0, 2.0, 2.0], [0.9, 4.0, 2.0], [0.9, 2.0, 4.0]])
    terms = Bargain("nash", {"ndcg": 0.5}, {"variety": 0.5})
    assert choose(values, ("ndcg", "revenue", "variety"), terms).point == 1


def test_malformed_terms_are_named():
    with pytest.raises(ValueError, match="a front without points"):
        choose(np.zeros((0, 2)), NAMES, NASH)
    with pytest.raises(ValueError, match="is about 'margin'; the front has: ndcg, revenue"):
        choose(FRONT, NAMES, Bargain("nash", {"margin": 0.5}, {}))
    with pytest.raises(ValueError, match=r"values\[0, 1\] is nan"):
        choose(np.array([[1.0, np.nan]]), NAMES, NASH)
    with pytest.raises(ValueError, match="a bargain is 'coin'; there are: nash, knee, constraint, fixed"):
        Bargain("coin", {}, {})
    with pytest.raises(ValueError, match="must not be negative"):
        Bargain("nash", {}, {"ndcg": -1.0})


@given(FRONTS, st.sampled_from(["nash", "knee", "constraint"]))
def test_the_point_keeps_the_floor_and_no_allowed_point_beats_it(values, way):
    chosen = choose(values, ("ndcg", "revenue", "variety"), Bargain(way, {"ndcg": 0.9}, {}, wanted="revenue"))
    mine = values[chosen.point]
    assert mine[0] >= 0.9 * values[:, 0].max()
    allowed = values[chosen.allowed]
    assert not ((allowed >= mine).all(axis=1) & (allowed > mine).any(axis=1)).any()


@given(FRONTS, st.sampled_from([0.25, 4.0, 1024.0]), st.integers(0, 2), st.sampled_from(["nash", "constraint", "knee"]))
def test_the_unit_of_a_measure_changes_no_choice(values, factor, column, way):
    terms = Bargain(way, {"ndcg": 0.9}, {"revenue": 2.0}, wanted="revenue")
    scaled = values.copy()
    scaled[:, column] *= factor
    names = ("ndcg", "revenue", "variety")
    first, second = (choose(each, names, terms).point for each in (values, scaled))
    # rounding may part two equal products
    assert first == second or np.isclose(*(_product(each, values) for each in (first, second)))


@given(FRONTS, st.floats(1, 4))
def test_more_power_never_brings_its_party_less(values, power):
    names = ("ndcg", "revenue", "variety")
    told = [choose(values, names, Bargain("nash", {"ndcg": 0.5}, {"revenue": each})) for each in (1.0, power)]
    before, after = (values[each.point, 1] for each in told)
    gains = values[told[0].allowed] - told[0].disagreement
    assume((gains > 0).all(axis=1).any())  # else somebody goes without, and who depends on the powers
    assert after >= before - 1e-9


def _product(point, values):
    chosen = choose(values, ("ndcg", "revenue", "variety"), Bargain("nash", {"ndcg": 0.9}, {"revenue": 2.0}))
    return np.prod((values[point] - chosen.disagreement).clip(0) ** [1, 2, 1])
