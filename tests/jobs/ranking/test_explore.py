"""Exploration: probabilities by hand, by simulation, and what must hold for any pool."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.ranking.explore import changed, explored, spread, thompson, upper_bound

PICKS = np.array([[4, 2, 7, 1]])
FREE = np.array([[False, False, True, True]])
POOL, SHARES = np.array([[5, 6, -1]]), np.array([[0.75, 0.25, 0.0]])


def test_the_less_an_item_was_tested_the_wider_is_what_is_known_of_it():
    assert spread(np.array([0.5, 0.5, 0.0]), np.array([0.0, 20.0, 0.0]), 4.0).tolist() == [
        pytest.approx(0.5 / 5**0.5), pytest.approx(0.1), 0
    ]  # fmt: skip


def test_two_items_by_hand():
    # the difference of two draws is Normal(0.5, sqrt(0.3^2 + 0.4^2) = 0.5): above 0 with probability Phi(1)
    shares = thompson(np.array([[1.0, 0.5]]), np.array([[0.3, 0.4]]), np.array([[True, True]]))
    assert shares.tolist() == [pytest.approx([0.8413447, 0.1586553], abs=1e-6)]


def test_who_is_certain_is_taken_or_not_and_padding_never():
    means, spreads = np.array([[0.5, 0.4, 9.0], [1.0, 1.0, 1.0]]), np.zeros((2, 3))
    there = np.array([[True, True, False], [False, False, False]])
    assert thompson(means, spreads, there).tolist() == [[1, 0, 0], [0, 0, 0]]
    assert upper_bound(means, spreads, there).tolist() == [[1, 0, 0], [0, 0, 0]]


def test_an_upper_bound_prefers_what_is_not_known():
    assert upper_bound(np.array([[0.5, 0.4]]), np.array([[0.1, 0.3]]), np.ones((1, 2), bool)).tolist() == [[0, 1]]


def test_thompsons_shares_are_the_frequencies_of_its_draws():
    random = np.random.default_rng(3)
    means, spreads = random.uniform(0, 1, (1, 5)), random.uniform(0.05, 0.5, (1, 5))
    drawn = random.normal(means, spreads, (400_000, 5)).argmax(axis=1)
    shares = thompson(means, spreads, np.ones((1, 5), bool))
    np.testing.assert_allclose(np.bincount(drawn, minlength=5) / len(drawn), shares[0], atol=0.003)


def test_one_list_by_hand():
    # explored (0.1 < 0.5), the second of two free places (0.6), the first item (0.7 < 0.75)
    found = explored(PICKS, POOL, SHARES, FREE, 0.5, np.array([[0.1, 0.6, 0.7]]))
    assert found.picks.tolist() == [[4, 2, 7, 5]]
    assert found.propensity.tolist() == [[1, 1, 0.75, 0.25 * 0.75]]
    assert found.tried.tolist() == [[False, False, False, True]]
    stays = explored(PICKS, POOL, SHARES, FREE, 0.5, np.array([[0.5, 0.6, 0.7]]))
    assert (stays.picks.tolist(), stays.propensity.tolist()) == (PICKS.tolist(), [[1, 1, 0.75, 0.75]])


def test_what_a_place_changes_is_by_hand_and_what_draws_change_on_average():
    gains = np.zeros((1, 8))
    gains[0, [5, 7]] = 1.0
    # in place of 7 and of 1 there is 5 with probability .75, which gains 1
    expected = ((0.75 - 1) / 2 + 0.75 / np.log2(5)) / 2
    np.testing.assert_allclose(changed(PICKS, POOL, SHARES, FREE, gains), [expected])
    many, discounts = 200_000, 1 / np.log2(np.arange(2, 6))
    lists = [np.repeat(each, many, axis=0) for each in (PICKS, POOL, SHARES, FREE)]
    found = explored(*lists, 0.5, np.random.default_rng(0).random((many, 3)))
    less = (gains[0, found.picks] - gains[0, PICKS]) @ discounts
    assert less.mean() == pytest.approx(0.5 * expected, abs=0.003)
    for pool, free in ((np.zeros((1, 3)), FREE), (SHARES, FREE & False)):
        assert changed(PICKS, POOL, pool, free, gains).tolist() == [0]


def test_without_a_pool_a_place_or_a_budget_nothing_is_explored():
    draws = np.zeros((1, 3))
    for pool, free, budget in ((np.zeros((1, 3)), FREE, 1.0), (SHARES, FREE & False, 1.0), (SHARES, FREE, 0.0)):
        found = explored(PICKS, POOL, pool, free, budget, draws)
        assert (found.picks.tolist(), found.propensity.tolist()) == (PICKS.tolist(), [[1, 1, 1, 1]])
    with pytest.raises(ValueError, match=r"the budget of exploration is 1\.5"):
        explored(PICKS, POOL, SHARES, FREE, 1.5, draws)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_propensities_of_all_that_may_stand_at_a_place_sum_to_1(seed, budget):
    random = np.random.default_rng(seed)
    picks = np.array([[0, 1, 2, 3, 4, -1]])
    pool, shares = np.array([[7, 8, 9]]), random.dirichlet(np.ones(3))[None]
    free = random.random((1, 6)) < 0.6
    starts = np.concatenate([[0.0], shares[0].cumsum()[:-1]]) + 1e-9
    open_ = np.flatnonzero(free[0] & (picks[0] >= 0))
    for number, rank in enumerate(open_):
        stays = explored(picks, pool, shares, free, budget, np.array([[1.0, 0, 0]])).propensity[0, rank]
        where = (number + 0.5) / len(open_)
        taken = [
            explored(picks, pool, shares, free, budget, np.array([[-1.0, where, start]])).propensity[0, rank]
            for start in starts
        ]
        assert stays + sum(taken) == pytest.approx(1)


def test_propensities_are_the_frequencies_of_many_nights():
    nights, random = 200_000, np.random.default_rng(11)
    repeated = (np.repeat(each, nights, axis=0) for each in (PICKS, POOL, SHARES, FREE))
    found = explored(*repeated, 0.4, random.random((nights, 3)))
    for rank in range(4):
        items, first, counts = np.unique(found.picks[:, rank], return_index=True, return_counts=True)
        np.testing.assert_allclose(counts / nights, found.propensity[first, rank], atol=0.004)
        assert found.propensity[first, rank].sum() == pytest.approx(1)
        assert (
            found.propensity[:, rank] == found.propensity[first, rank][np.searchsorted(items, found.picks[:, rank])]
        ).all()
