"""What looks promising lies where a smooth front is open, and is new."""

import numpy as np

from jobs.ranking.promising import _greedy, promising


def quarter(weights):
    """A front that is a quarter of a circle: two measures, each as good as the root of its weight."""
    return np.sqrt(weights)


def test_the_gap_of_a_front_is_tried_first():
    one = np.array([0.0, 0.05, 0.1, 0.15, 0.75, 0.8, 0.9, 1.0])
    weights = np.stack([one, 1 - one], axis=1)
    new = promising(weights, quarter(weights), 4, np.random.default_rng(0))
    assert len(new) == 4
    np.testing.assert_allclose(new.sum(axis=1), 1)
    first, second = new[:2, 0]
    assert 0.15 < first < 0.75
    assert 0.15 < second < 0.75
    # the second doesn't go where the first went already
    assert abs(first - second) > 0.05


def test_with_a_least_only_that_part_of_the_front_is_tried():
    one = np.array([0.0, 0.1, 0.2, 0.6, 0.7, 0.9, 1.0])
    weights = np.stack([one, 1 - one], axis=1)
    anywhere, above = (
        promising(weights, quarter(weights), 6, np.random.default_rng(0), least=least)[:, 0]
        for least in (0.0, 0.7**0.5)
    )
    assert ((anywhere > 0.2) & (anywhere < 0.6)).any()
    assert (above > 0.6).all()


def test_the_same_draws_give_the_same_policies_and_none_that_was_tried():
    weights = np.random.default_rng(3).dirichlet(np.ones(3), 20)
    values = quarter(weights)
    once, again = (promising(weights, values, 10, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert np.abs(once[:, None] - weights).sum(axis=2).min() > 1e-6


def test_where_every_policy_has_the_same_it_still_tries_others():
    weights = np.eye(3)
    new = promising(weights, np.zeros((3, 2)), 5, np.random.default_rng(0))
    assert len(new) == 5
    assert len(np.unique(new, axis=0)) == 5


def test_what_two_before_it_cover_counts_against_a_policy_once():
    # 3 covers five points; 0 and 1 then add two each, though they share one; 2 and 4 add nothing and are left to chance
    covers = np.array(
        [
            [1, 1, 1, 1, 0, 0, 0, 0, 0],
            [0, 0, 0, 1, 1, 1, 1, 0, 0],
            [0, 0, 0, 1, 0, 0, 0, 0, 1],
            [0, 0, 1, 1, 1, 0, 0, 1, 1],
            [0, 0, 0, 0, 0, 0, 0, 0, 0],
        ],
        bool,
    )
    chosen = _greedy(covers, 5, np.random.default_rng(0))
    assert chosen[0] == 3
    assert sorted(chosen) == [0, 1, 2, 3, 4]
    assert chosen[1] in (0, 1)
    assert set(chosen[1:3]) == {0, 1}
