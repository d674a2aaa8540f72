"""Parameters of re-ranking: lists by hand, and that neutral ones change nothing, not even in the last bit."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.ranking.calibration import Calibration
from jobs.ranking.diversify import mmr
from jobs.ranking.dpp import dpp
from jobs.ranking.places import Limits
from jobs.ranking.rerank import Reranking, Tastes, few, of_genes, reranked
from tests.jobs.ranking import plain

LINE = np.array([[1, 0], [1, 0], [0.6, 0.8], [0, 1]], np.float32)  # 0 and 1 are alike, 3 is most unlike them
BASE = [1.0, 0.9, 0.5, 0.3]
FRUIT = Tastes(np.array([[5, 5, 5, 8]]), np.array([[0, 0, 0, 1]]), np.array([[0.5, 0.5]]))


def one(strength=0.5, length=4, tastes=FRUIT, base=BASE, **parameters):
    how = Reranking.of(parameters, 1)
    return reranked(np.array([base]), LINE[None], np.array([strength]), length, how, tastes)


@given(plain.problems(most_users=3), st.data())
def test_neutral_users_have_the_lists_of_before_to_the_last_bit_whoever_else_is_there(problem, data):
    base, vectors, strength, length, groups, most = problem
    pinned, limits = data.draw(plain.pins(base, length)), [Limits(groups[0], most)]
    tastes = Tastes.of(groups[1], np.repeat(np.arange(len(base)), 2), np.tile([0, 1], len(base)))
    before = mmr(base, vectors, strength, length, limits=limits, pinned=pinned)
    moved = data.draw(st.lists(st.booleans(), min_size=len(base), max_size=len(base)))
    how = Reranking.of({"dpp": np.array(moved), "calibration": np.array(moved) * 0.1}, len(base))
    for each in (None, Reranking.of({}, len(base)), how):
        now = reranked(base, vectors, strength, length, each, tastes, limits=limits, pinned=pinned)
        for user in range(len(base)):
            if each is not how or not moved[user]:
                for name in ("picks", "scores", "diversity"):
                    np.testing.assert_array_equal(getattr(now, name)[user], getattr(before, name)[user])


def test_the_dpp_counts_the_logarithm_of_what_is_left_by_the_same_weight():
    lists = one(dpp=1.0)
    # after 0: 1 is a copy, .9 + .5 log 1e-6; 2 has .5 + .5 log .64 = .277; 3 has .3 + .5 log 1
    assert lists.picks.tolist() == [[0, 3, 1, 2]]
    low = 0.5 * math.log(1e-6)
    np.testing.assert_allclose(lists.scores, [[1.0, 0.3, 0.9 + low, 0.5 + low]], atol=1e-6)
    np.testing.assert_allclose(lists.diversity, [[1, 1, 0, 0.2]], atol=1e-6)


@pytest.mark.parametrize("kind", [0.0, 1.0])
def test_calibration_draws_to_the_histories_categories_by_either_re_ranker(kind):
    lists = one(length=2, dpp=kind, calibration=1.0)
    alone = 0.5 * math.log(0.5 / 0.995) + 0.5 * math.log(0.5 / 0.005)
    # 3 stands far behind, but with it half of the list is of the other half of the history
    assert lists.picks.tolist() == [[0, 3]]
    unlike = 0.0 if kind else 0.5 / 2  # of the first and of 3, which is unlike it
    np.testing.assert_allclose(lists.scores, [[1 - alone + unlike, 0.3 + unlike]], atol=1e-7)
    assert one(strength=0.0, length=2, dpp=kind, calibration=0.1).picks.tolist() == [[0, 1]]


def test_a_category_has_no_more_than_its_share_of_the_places():
    assert one(strength=0.0, length=2, category_share=0.5).picks.tolist() == [[0, 3]]
    assert one(strength=0.0, length=2, category_share=0.8).picks.tolist() == [[0, 1]]  # 1.6 places are 2
    assert one(strength=0.0, length=2, category_share=0.01).picks.tolist() == [[0, 3]]  # and 0.02 are one


def test_a_share_that_would_leave_a_place_empty_does_not_hold():
    # a third place can't be had from one each of two categories
    assert one(strength=0.0, length=3, category_share=0.34).picks.tolist() == [[0, 1, 2]]
    both = Reranking.of({"category_share": 0.34}, 2)
    tastes = Tastes(np.array([[5, 5, 5, 8], [5, 5, 6, 8]]), np.full((2, 4), -1), np.zeros((2, 1)))
    lists = reranked(np.array([BASE] * 2), np.stack([LINE] * 2), np.zeros(2), 3, both, tastes)
    assert lists.picks.tolist() == [[0, 1, 2], [0, 2, 3]]
    np.testing.assert_array_equal(lists.scores, [[1.0, 0.9, 0.5], [1.0, 0.5, 0.3]])


def test_tastes_count_the_history_by_category():
    categories = np.array([[7, 2, -1], [2, 7, 9], [7, 7, 7]])
    # the first took 7 twice, 2 once and something of no category; the second 3 alone; the third nothing
    tastes = Tastes.of(categories, np.array([0, 0, 0, 0, 1]), np.array([7, 2, 7, -1, 3]))
    np.testing.assert_allclose(tastes.shares, [[1 / 3, 2 / 3], [1, 0], [0, 0]])
    assert tastes.groups.tolist() == [[1, 0, -1], [-1, -1, -1], [-1, -1, -1]]
    nobody = Tastes.of(categories, np.zeros(0, int), np.zeros(0, int))
    assert nobody.groups.tolist() == [[-1] * 3] * 3
    assert nobody.shares.shape == (3, 0)


def test_calibrated_variance_is_the_best_at_every_rank():
    rng = np.random.default_rng(2)
    base, groups, shares = rng.random((2, 60)), rng.integers(-1, 3, (2, 60)), np.array([[0.5, 0.3, 0.2], [1.0, 0, 0]])
    vectors = rng.standard_normal((2, 60, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=2, keepdims=True)).astype(np.float32)
    lists = dpp(base, vectors, np.full(2, 0.7), 12, calibration=Calibration(groups, shares, np.array([0.5, 2.0])))
    for user, picks in enumerate(lists.picks.tolist()):
        weight, exact = (0.5, 2.0)[user], vectors[user].astype(np.float64)
        for rank, pick in enumerate(picks):
            above = picks[:rank]
            basis = np.linalg.qr(exact[above].T)[0] if above else np.zeros((8, 0))
            left = np.maximum(1 - ((exact @ basis) ** 2).sum(axis=1), 1e-6)
            cost = [plain.divergence(shares[user], [*groups[user][above], group]) for group in groups[user]]
            totals = 0.7 * base[user] + 0.3 * np.log(left) - weight * np.array(cost)
            totals[above] = -np.inf
            assert totals[pick] >= totals.max() - 1e-6
            # where the eight dimensions are full, rounding decides what the floor leaves
            assert rank >= 8 or lists.scores[user, rank] == pytest.approx(totals[pick], abs=1e-5)


def test_genes_reach_neutral_and_both_ends_and_a_few_settings_move_one_parameter():
    names = ("category_share", "dpp", "calibration")
    told = of_genes(np.array([[0.3, 0.3, 0.3], [2 / 3, 0.6, 2 / 3], [1.0, 1.0, 1.0]]), names)
    np.testing.assert_allclose(told, [[1, 0, 0], [0.55, 0, 0.25], [0.1, 1, 1]])
    rows = few(names)
    assert rows[0].tolist() == [1, 0, 0]
    assert ((rows[1:] != rows[0]).sum(axis=1) == 1).all()
    assert len(np.unique(rows, axis=0)) == len(rows) == 8
    assert few(()).shape == (1, 0)


def test_malformed_parameters_are_named():
    with pytest.raises(ValueError, match=r"category_share is \[0.0\]; it must be a number from 1e-06 to 1"):
        one(category_share=0.0)
    with pytest.raises(ValueError, match=r"calibration is \[-1.0\]"):
        one(calibration=-1.0)
    with pytest.raises(ValueError, match="need the categories of candidates and histories"):
        one(calibration=0.1, tastes=None)
