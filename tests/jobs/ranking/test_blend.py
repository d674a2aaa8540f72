"""The weighted sum with greedy diversity: hand-worked lists, and what must hold for any."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jobs.ranking.blend import blend, unit
from jobs.ranking.places import Limits
from jobs.ranking.rerank import Reranking, Tastes
from jobs.ranking.values import Scale, standing_in

WEIGHTS = {"relevance": 0.5, "expected_revenue": 0.25, "diversity": 0.25}
SCALES = {"relevance": Scale(0.5, np.inf), "expected_revenue": Scale(4.0, np.inf)}
PLAIN = {"relevance": Scale(1.0, np.inf)}


def masked(*rows):
    """None is an unknown value."""
    return np.ma.masked_invalid(np.array(rows, dtype=np.float64))


def choose(relevance, revenue, vectors, weights=WEIGHTS, length=3, candidates=None, scales=SCALES):
    given = np.ones(relevance.shape, bool) if candidates is None else candidates
    objectives = {"relevance": relevance, "expected_revenue": revenue}
    return blend(objectives, vectors, given, weights, length, scales=scales)


@st.composite
def cases(draw):
    """Relevance and revenue in steps of 1/64, so that scaling by a power of two is exact; vectors in two dimensions."""
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 8)))
    steps = st.integers(0, 64).map(lambda step: step / 64)
    relevance = np.ma.array(draw(hnp.arrays(np.float64, shape, elements=steps)))
    revenue = np.ma.array(draw(hnp.arrays(np.float64, shape, elements=steps)), mask=draw(hnp.arrays(bool, shape)))
    vectors = unit(draw(hnp.arrays(np.float32, (*shape, 2), elements=st.integers(-3, 3).map(float))))
    return relevance, revenue, vectors


def test_three_candidates_by_hand():
    relevance, revenue = masked([0.5, 0.375, 0.0]), masked([4 / 3, 0.0, 4.0])
    vectors = np.array([[[1, 0], [1, 0], [0, 1]]], np.float32)
    lists = choose(relevance, revenue, vectors)
    # scaled relevance 1, 0.75, 0; scaled revenue 1/3, 0, 1; the first pick adds diversity 1 to each
    # first: 0.5 + 0.25/3 + 0.125; then the second, like the first, has diversity 0 and the third 1
    # second: candidate 1 has 0.375 + 0 + 0, candidate 2 has 0 + 0.25 + 0.125: equal, so the first in order
    assert lists.picks.tolist() == [[0, 1, 2]]
    np.testing.assert_allclose(lists.scores, [[0.5 + 0.25 / 3 + 0.125, 0.375, 0.375]])
    assert lists.diversity.tolist() == [[1, 0, 1]]
    assert {name: weight.tolist() for name, weight in lists.weights.items()} == {n: [w] for n, w in WEIGHTS.items()}


def test_diversity_is_1_minus_the_largest_cosine_to_those_above():
    vectors = np.array([[[1, 0], [0, 1], [-1, 0], [0.6, 0.8]]], np.float32)
    lists = choose(masked([0.9, 0.6, 0.3, 0.0]), masked([1.0] * 4), vectors, length=4)
    assert lists.picks.tolist() == [[0, 1, 2, 3]]
    # to [1, 0]: 0 and then -1, but [0, 1] stands above too: cosine 0; the last is 0.6, 0.8 and -0.6 to those above
    np.testing.assert_allclose(lists.diversity, [[1, 1, 1, 0.2]], atol=1e-6)


def test_an_unknown_revenue_counts_as_the_lowest():
    vectors = np.zeros((1, 3, 2), np.float32)
    only_revenue = {"relevance": 0.0, "expected_revenue": 1.0, "diversity": 0.0}
    lists = choose(masked([1.0, 1.0, 1.0]), masked([None, 4.0, 0.0]), vectors, only_revenue)
    assert lists.picks.tolist() == [[1, 0, 2]]
    assert lists.scores.tolist() == [[1, 0, 0]]


def test_what_is_not_known_of_the_shopper_leaves_its_weight_to_what_is():
    told = {
        "relevance": masked([0.9, 0.1], [0.9, 0.1], [None, None]),
        "satisfaction": masked([None, None], [0.1, 0.9], [0.1, 0.9]),
        "expected_revenue": masked([0.0, 4.0], [0.0, 4.0], [0.0, 4.0]),
    }
    weights = {"relevance": 0.125, "satisfaction": 0.625, "expected_revenue": 0.25, "diversity": 0.0}
    scales = dict.fromkeys(told, Scale(1.0, np.inf))
    lists = blend(told, np.zeros((3, 2, 2), np.float32), np.ones((3, 2), bool), weights, 2, scales=scales)
    used = {name: lists.weights[name].tolist() for name in told}
    assert used["relevance"] == [0.75, 0.125, 0.0]
    assert used["satisfaction"] == [0.0, 0.625, 0.75]
    assert used["expected_revenue"] == [0.25] * 3
    # the same by what stands in for it where policies are tried
    known = {name: (~np.ma.getmaskarray(each)).any(axis=1) for name, each in told.items()}
    scaled = standing_in({name: each.filled(0.0) for name, each in told.items()}, known)
    np.testing.assert_allclose(sum(weights[name] * scaled[name] for name in told), lists.base)


def test_without_any_revenue_its_weight_goes_to_the_others_of_that_user_alone():
    vectors = np.zeros((2, 2, 2), np.float32)
    lists = choose(masked([0.1, 0.9], [0.1, 0.9]), masked([None, None], [1.0, 2.0]), vectors)
    np.testing.assert_allclose(lists.weights["relevance"], [0.5 / 0.75, 0.5])
    np.testing.assert_allclose(lists.weights["expected_revenue"], [0, 0.25])
    np.testing.assert_allclose(lists.weights["diversity"], [0.25 / 0.75, 0.25])


def test_a_short_row_of_candidates_makes_a_short_list():
    candidates = np.array([[True, False, True], [False, False, True]])
    lists = choose(
        masked([0.1, 9.0, 0.2], [9.0, 9.0, 0.5]), masked([1.0] * 3, [1.0] * 3), np.zeros((2, 3, 2), np.float32),
        candidates=candidates,
    )  # fmt: skip
    assert lists.picks.tolist() == [[2, 0, -1], [2, -1, -1]]


@given(cases())
def test_every_candidate_is_picked_once_and_diversity_and_score_stay_in_range(case):
    lists = choose(*case, length=8)
    assert (np.sort(lists.picks, axis=1) == np.arange(case[0].shape[1])).all()
    assert ((lists.diversity >= 0) & (lists.diversity <= 2)).all()
    assert (lists.diversity[:, 0] == 1).all()
    assert ((lists.scores >= 0) & (lists.scores <= 2)).all()  # twice the best item of an average list
    np.testing.assert_allclose(sum(lists.weights.values()), 1)


@given(cases(), st.sampled_from([0.25, 2.0, 1024.0]))
def test_the_unit_of_an_objective_changes_nothing(case, factor):
    relevance, revenue, vectors = case
    units = SCALES | {"expected_revenue": Scale(SCALES["expected_revenue"].unit * factor, np.inf)}
    cents = choose(relevance, revenue * factor, vectors, scales=units)
    np.testing.assert_array_equal(cents.picks, choose(relevance, revenue, vectors).picks)


@given(cases(), st.floats(0, 0.5), st.floats(0, 0.5))
def test_more_weight_on_revenue_never_lowers_the_revenue_of_the_first_pick(case, less, more):
    assume(less < more)
    relevance, revenue, vectors = case
    earned = []
    for weight in (less, more):
        weights = {"relevance": 0.8 * (1 - weight), "expected_revenue": weight, "diversity": 0.2 * (1 - weight)}
        first = choose(relevance, revenue, vectors, weights).picks[:, 0]
        earned.append(revenue.filled(0.0)[np.arange(len(first)), first])
    assert (earned[1] >= earned[0] - 1e-9).all()


@given(cases())
def test_the_other_users_of_a_batch_change_nothing(case):
    together = choose(*case)
    for user in range(len(case[0])):
        alone = choose(*(part[user : user + 1] for part in case))
        np.testing.assert_array_equal(alone.picks[0], together.picks[user])
        np.testing.assert_array_equal(alone.scores[0], together.scores[user])
        np.testing.assert_array_equal(alone.diversity[0], together.diversity[user])


def test_weights_of_each_user_make_the_list_that_they_make_alone():
    relevance, revenue = masked([0.5, 0.375, 0], [0.5, 0.375, 0]), masked([4 / 3, 0, 4], [4 / 3, 0, 4])
    vectors = np.array([[[1, 0], [1, 0], [0, 1]]] * 2, np.float32)
    own = {"relevance": np.array([0.5, 0.0]), "expected_revenue": np.array([0.25, 1.0]), "diversity": [0.25, 0.0]}
    lists = choose(relevance, revenue, vectors, own)
    assert lists.picks.tolist() == [[0, 1, 2], [2, 0, 1]]
    np.testing.assert_allclose(lists.scores[1], [1, 1 / 3, 0])
    assert {name: weight.tolist() for name, weight in lists.weights.items()} == {
        "relevance": [0.5, 0], "expected_revenue": [0.25, 1], "diversity": [0.25, 0],
    }  # fmt: skip
    wrong = own | {"relevance": np.array([0.5, 0.1])}
    with pytest.raises(ValueError, match=r"weights {'relevance': 0.1, .*} of user 1 must not be negative and must sum"):
        choose(relevance, revenue, vectors, wrong)
    with pytest.raises(ValueError, match=r"the weight of relevance is \(3,\)"):
        choose(relevance, revenue, vectors, own | {"relevance": np.ones(3)})


def test_a_bump_limits_and_pins_change_the_choice():
    relevance, revenue, vectors = masked([0.5, 0.25, 0.0]), masked([1.0] * 3), np.zeros((1, 3, 2), np.float32)
    objectives, candidates = {"relevance": relevance, "expected_revenue": revenue}, np.ones((1, 3), bool)

    def picks(**more):
        return blend(objectives, vectors, candidates, WEIGHTS, 3, scales=SCALES, **more).picks.tolist()

    assert picks() == [[0, 1, 2]]
    assert picks(bump=np.array([[0, 0, 1.0]])) == [[2, 0, 1]]
    assert picks(limits=[Limits(np.array([[4, 4, -1]]), 1)]) == [[0, 2, -1]]
    assert picks(pinned=np.array([[1, -1, -1]])) == [[1, 0, 2]]
    tastes = Tastes(np.array([[0, 0, 1]]), np.array([[0, 0, 1]]), np.array([[0.5, 0.5]]))
    assert picks(how=Reranking.of({"calibration": 9.0}, 1), tastes=tastes) == [[0, 2, 1]]
    with pytest.raises(ValueError, match=r"bump\[0, 1\] is nan"):
        picks(bump=np.array([[0, np.nan, 1.0]]))


def test_unit_vectors_keep_their_direction_and_zero_stays_zero():
    assert unit(np.array([[3, 4], [0, 0], [-2, 0]], np.float32)).tolist() == [
        [np.float32(0.6), np.float32(0.8)], [0, 0], [-1, 0],
    ]  # fmt: skip


def test_malformed_input_is_named():
    fine, vectors = masked([0.5, 0.5]), np.zeros((1, 2, 2), np.float32)
    with pytest.raises(ValueError, match=r"relevance\[0, 1\] is nan"):
        choose(np.ma.array([[0.5, np.nan]]), fine, vectors)
    with pytest.raises(ValueError, match=r"vectors\[0, 0, 0\] is nan"):
        choose(fine, fine, np.full((1, 2, 2), np.nan))
    with pytest.raises(ValueError, match="must not be negative and must sum to 1"):
        choose(fine, fine, vectors, WEIGHTS | {"relevance": 0.6})
    with pytest.raises(ValueError, match="no scale for expected_revenue; there are: relevance"):
        choose(fine, fine, vectors, scales=PLAIN)
    with pytest.raises(ValueError, match=r"weights are for \['relevance'\]"):
        choose(fine, fine, vectors, {"relevance": 1.0})
    with pytest.raises(ValueError, match="no objective with a weight has a value"):
        choose(masked([None, None]), fine, vectors, {"relevance": 1.0, "expected_revenue": 0.0, "diversity": 0.0})


def test_a_bump_moves_and_a_pin_stands_where_it_must():
    given, vectors = masked([1.0, 0.5, 0.0]), np.zeros((1, 3, 2), np.float32)
    flat = {"relevance": 1.0, "diversity": 0.0}
    both = {"bump": np.array([[-0.75, 0.0, 0.0]]), "pinned": np.array([[2, -1, -1]])}
    lists = blend({"relevance": given}, vectors, np.ones((1, 3), bool), flat, 3, scales=PLAIN, **both)
    assert lists.picks.tolist() == [[2, 1, 0]]
    assert lists.scores.tolist() == [[0, 0.5, 0.25]]


def test_a_limit_counts_pinned_items_and_does_not_refuse_them():
    given, vectors = masked([1.0, 0.75, 0.5, 0.0]), np.zeros((1, 4, 2), np.float32)
    flat = {"relevance": 1.0, "diversity": 0.0}
    limits = [Limits(np.array([[0, 0, -1, 0]]), 1)]
    lists = blend({"relevance": given}, vectors, np.ones((1, 4), bool), flat, 3, scales=PLAIN, limits=limits)
    assert lists.picks.tolist() == [[0, 2, -1]]
    pinned = np.array([[3, 1, -1]])
    lists = blend(
        {"relevance": given}, vectors, np.ones((1, 4), bool), flat, 3, scales=PLAIN, limits=limits, pinned=pinned
    )
    assert lists.picks.tolist() == [[3, 1, 2]]
