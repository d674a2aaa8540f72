"""Policies on days that are over: what their lists had, by hand and beside the lists that are published."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.ranking.blend import blend, unit
from jobs.ranking.rerank import Reranking, Tastes
from jobs.ranking.trial import Trial
from jobs.ranking.tried import Tried, distance, railed, stepped
from jobs.ranking.values import Scale


def trial(**changes):
    """Two users; the second has two candidates. Items 0 and 1 are alike, 2 is unlike them."""
    given = {
        "values": {
            "relevance": np.array([[1.0, 0.5, 0.0], [1.0, 0.5, 0.0]]),
            "expected_revenue": np.array([[0.0, 0.5, 1.0], [0.0, 1.0, 0.0]]),
        },
        "units": np.array([[1, 0], [1, 0], [0, 1]], np.float32),
        "positions": np.array([[0, 1, 2], [0, 2, -1]]),
        "taken": np.array([[False, True, True], [True, False, False]]),
        "paid": np.array([[0.0, 2.0, 8.0], [3.0, 0.0, 0.0]]),
        "relevant": np.array([3, 1]),
        "length": 2,
    }
    return Trial(**(given | changes))


def policy(relevance=0.0, expected_revenue=0.0, diversity=0.0):
    told = {"relevance": relevance, "expected_revenue": expected_revenue, "diversity": diversity}
    return {name: np.atleast_1d(np.asarray(weight, float)) for name, weight in told.items()}


def test_what_two_policies_had_by_hand():
    found = trial().outcomes(policy(relevance=[1.0, 0.0], expected_revenue=[0.0, 1.0]))
    # by relevance: items 0, 1 and 0, 2; by revenue: 2, 1 and 2, 0
    second, ideal = 1 / np.log2(3), 1 + 1 / np.log2(3)
    np.testing.assert_allclose(found["ndcg"], [[second / ideal, 1], [1, second]])
    np.testing.assert_allclose(found["revenue"], [[2, 3], [10, 3]])
    np.testing.assert_allclose(found["diversity"], [[0, 1], [1, 1]])
    np.testing.assert_allclose(found["relevance"], [[0.75, 0.75], [0.25, 0.75]])
    np.testing.assert_allclose(found["expected_revenue"], [[0.25, 0.5], [0.75, 0.5]])


def test_margin_is_what_was_earned_and_nothing_where_no_cost_is_known():
    earned = np.array([[0.0, 1.0, 2.0], [0.5, 0.0, 0.0]])
    values = trial().values | {"margin": np.array([[0.0, 0.0, 9.0], [9.0, 0.0, 0.0]])}
    found = trial(values=values, earned=earned).outcomes(policy(relevance=1.0) | {"margin": np.zeros(1)})
    np.testing.assert_allclose(found["margin"], [[1.0, 0.5]])
    assert "margin" not in trial().outcomes(policy(relevance=1.0))


def test_diversity_is_chosen_for_its_weight():
    # after item 0: item 1 has .5 x .5, item 2 has 0 + .5 x 1/2: equal, so the first; a little more and it turns
    less, more = (trial().outcomes(policy(1 - w, 0, w))["diversity"][0, 0] for w in (0.5, 0.51))
    assert (less, more) == (0, 1)


def test_the_lists_of_a_policy():
    assert trial().picked(policy(relevance=1.0)).tolist() == [[True, True, False], [True, True, False]]
    assert trial().picked(policy(expected_revenue=1.0)).tolist() == [[False, True, True], [True, True, False]]


@given(st.integers(0, 2**32 - 1))
def test_a_policy_tried_has_the_lists_that_the_night_publishes(seed):
    random = np.random.default_rng(seed)
    steps = random.integers(0, 64, (3, 5, 8)) / 64  # sums of which float32 holds
    positions = np.stack([random.permutation(12)[:8] for _ in range(5)])
    units = unit(np.eye(4, dtype=np.float32)[random.integers(0, 4, 12)])
    values = {"relevance": steps[0], "expected_revenue": steps[1]}
    nothing = np.zeros(positions.shape)
    made = Trial(values, units, positions, nothing.astype(bool), nothing, np.ones(5, int), 4)
    weights = {"relevance": 0.5, "expected_revenue": 0.25, "diversity": 0.25}
    lists = blend(
        {name: np.ma.array(each) for name, each in values.items()}, units[positions], positions >= 0, weights, 4,
        scales=dict.fromkeys(values, Scale(1.0, np.inf)),
    )  # fmt: skip
    chosen = np.zeros(positions.shape, bool)
    np.put_along_axis(chosen, lists.picks, True, axis=1)
    assert (made.picked({name: np.array([each]) for name, each in weights.items()}) == chosen).all()


@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([0.0, 0.1, 1.0]), st.sampled_from([0.25, 0.5, 1.0]))
def test_so_has_one_with_parameters_whatever_else_is_tried_beside_it(seed, kind, strength, share):
    random = np.random.default_rng(seed)
    values = {"relevance": random.random((5, 8)), "expected_revenue": random.random((5, 8))}
    positions = np.stack([random.permutation(12)[:8] for _ in range(5)])
    positions[1, 5:] = -1
    units = unit(random.standard_normal((12, 4)).astype(np.float32))
    nothing, categories = np.zeros(positions.shape), np.where(positions < 0, -1, positions % 3)
    tastes = Tastes.of(categories, np.repeat(np.arange(4), 3), random.integers(0, 3, 12))
    made = Trial(values, units, positions, nothing.astype(bool), nothing, np.ones(5, int), 4, tastes)
    weights = {"relevance": 0.5, "expected_revenue": 0.25, "diversity": 0.25}
    parameters = {"dpp": float(kind), "calibration": strength, "category_share": share}
    lists = blend(
        {name: np.ma.array(each) for name, each in values.items()}, units[positions], positions >= 0, weights, 4,
        scales=dict.fromkeys(values, Scale(1.0, np.inf)), how=Reranking.of(parameters, 5), tastes=tastes,
    )  # fmt: skip
    chosen = np.zeros(positions.shape, bool)
    rows, ranks = np.nonzero(lists.picks >= 0)
    chosen[rows, lists.picks[rows, ranks]] = True
    alone = {name: np.array([each]) for name, each in (weights | parameters).items()}
    assert (made.picked(alone) == chosen).all()
    neutral = {"dpp": 0.0, "calibration": 0.0, "category_share": 1.0}
    both = {name: np.array([each, (weights | neutral)[name]]) for name, each in (weights | parameters).items()}
    had, mine = made.outcomes(both), made.outcomes(alone)
    plain = made.outcomes({name: each[1:] for name, each in both.items() if name in weights})
    for name, each in had.items():
        np.testing.assert_allclose(each, np.concatenate([mine[name], plain[name]]), rtol=1e-6)  # float32's order
    unlike = np.where(lists.picks >= 0, lists.diversity, 0.0)[:, 1:].sum(axis=1)
    np.testing.assert_allclose(had["diversity"][0], unlike / ((lists.picks >= 0).sum(axis=1) - 1), rtol=1e-6)


def test_malformed_trials_are_named():
    with pytest.raises(ValueError, match=r"relevance\[0, 1\] is nan"):
        trial(values={"relevance": np.array([[1.0, np.nan, 0.0], [1.0, 0.5, 0.0]])})
    with pytest.raises(ValueError, match=r"relevance is \(2, 2\), but candidates are \(2, 3\)"):
        trial(values={"relevance": np.ones((2, 2))})
    with pytest.raises(ValueError, match="user 1 took nothing"):
        trial(relevant=np.array([1, 0]))


def test_an_audience_is_drawn_towards_everybody_by_the_prior():
    tried = Tried(trial(), ("relevance", "expected_revenue", "diversity"), ("revenue",), np.array([1.0, 3.0]), 1.0)
    everybody = tried.evaluate(np.array([[1.0, 0, 0], [0, 1.0, 0]]))
    # by relevance 2 and 3, by revenue 10 and 3; the second user counts three times
    assert everybody[:, 0].tolist() == [2.75, 4.75]
    first = np.array([True, False])
    assert tried.means(first)[:, 0].tolist() == [(2 + 2.75) / 2, (10 + 4.75) / 2]
    assert tried.means(np.array([False, False])).tolist() == everybody.tolist()  # of nobody nothing is known
    assert tried.tried.tolist() == [[1, 0, 0], [0, 1, 0]]


def test_weights_step_no_further_than_the_bound():
    last, target = np.array([1.0, 0.0]), np.array([0.5, 0.5])
    assert distance(last, target) == 0.5
    assert stepped(last, target, 0.125).tolist() == [0.875, 0.125]
    assert stepped(last, target, 0.5).tolist() == [0.5, 0.5]


def test_parameters_step_as_far_as_weights_and_the_re_ranker_changes_when_all_else_arrives():
    names = ("dpp", "calibration", "category_share")
    last, target = np.array([1.0, 0.0, 0, 0.0, 1.0]), np.array([0.75, 0.25, 1, 0.5, 1.0])
    assert distance(last, target, names) == 0.5
    assert stepped(last, target, 0.125, names).tolist() == [0.9375, 0.0625, 0, 0.125, 1.0]
    assert stepped(last, target, 0.5, names).tolist() == target.tolist()
    assert distance(last, np.array([1.0, 0.0, 1, 0.0, 0.75]), names) == 0.25


@pytest.mark.parametrize(
    ("ndcg", "far", "rail"),
    [
        ((0.3, 0.3), False, "none"),
        ((0.3, 0.3), True, "step"),
        ((0.1, 0.3), True, "back"),
        ((0.3, 0.1), True, "floor"),
        ((0.3, 0.1), False, "none"),  # the target is within reach and keeps the floor
    ],
)
def test_which_guard_rail_holds(ndcg, far, rail):
    assert railed(ndcg, 0.2, far) == rail
