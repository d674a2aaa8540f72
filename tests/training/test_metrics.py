"""Metrics worked by hand, one user at a time."""

import math

import numpy as np
import pytest

from training.metrics import Relevant, accuracy, coverage, intervals, variety

TOPS = np.array([[7, 3, 5], [1, 2, 4], [0, 8, 6]])
TAKEN = Relevant.of([np.array([9, 3, 8, 5, 3]), np.array([1]), np.array([7])])
LOG3 = math.log2(3)


def test_accuracy_by_hand():
    found = accuracy(TOPS, TAKEN, (2, 3))
    # the first took four and finds two at ranks 2 and 3; the second its only one at rank 1; the third nothing
    ideal = 1 + 1 / LOG3 + 1 / 2
    expected = {
        "recall_at_2": [1 / 4, 1, 0],
        "precision_at_2": [1 / 2, 1 / 2, 0],
        "f1_at_2": [1 / 3, 2 / 3, 0],
        "ndcg_at_2": [(1 / LOG3) / (1 + 1 / LOG3), 1, 0],
        "mrr_at_2": [1 / 2, 1, 0],
        "recall_at_3": [1 / 2, 1, 0],
        "precision_at_3": [2 / 3, 1 / 3, 0],
        "f1_at_3": [4 / 7, 1 / 2, 0],
        "ndcg_at_3": [(1 / LOG3 + 1 / 2) / ideal, 1, 0],
        "mrr_at_3": [1 / 2, 1, 0],
    }
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, abs=1e-12), name


def test_revenue_is_what_was_paid_for_the_items_of_the_list():
    paid = Relevant(TAKEN.offsets, TAKEN.items, np.array([2.0, 30.0, 500.0, 7000.0, 1.5, 4.0]))
    # the first user's items in order are 3, 5, 8, 9
    assert accuracy(TOPS, paid, (2, 3))["revenue_at_2"].tolist() == [2.0, 1.5, 0.0]
    assert accuracy(TOPS, paid, (2, 3))["revenue_at_3"].tolist() == [32.0, 1.5, 0.0]


def test_a_short_list_is_filled_with_minus_one_which_nobody_took():
    found = accuracy(np.array([[0, -1, -1]]), Relevant.of([np.array([0, 1])]), (3,))
    assert (found["recall_at_3"][0], found["precision_at_3"][0]) == (1 / 2, 1 / 3)


def test_lists_that_are_too_short_and_users_who_took_nothing_are_refused():
    with pytest.raises(ValueError, match="lists hold 3 items; the largest cutoff is 5"):
        accuracy(TOPS, TAKEN, (5,))
    with pytest.raises(ValueError, match="user 1 took nothing"):
        accuracy(TOPS[:2], Relevant.of([np.array([1]), np.array([], int)]), (3,))


def test_variety_by_hand():
    # food > fruit, food > fruit > apples, tools, nothing known
    paths = np.array([[0, 1, -1], [0, 1, 2], [3, -1, -1], [-1, -1, -1]])
    found = variety(np.array([[0, 1, 2], [1, 3, 0]]), paths, np.array([0.5, 0.25, 0.125, 0.5]), 3)
    # two of three levels are shared by the first pair, none by the others
    assert found["diversity_at_3"] == pytest.approx([(1 / 3 + 1 + 1) / 3] * 2)
    assert found["novelty_at_3"] == pytest.approx([2, 4 / 3])


def test_coverage_counts_each_item_once():
    assert coverage(np.array([[0, 1, 9], [1, 0, 9], [-1, -1, -1]]), 8, 2) == 2 / 8


def test_intervals_cover_the_mean_at_their_nominal_rate():
    rng = np.random.default_rng(5)
    samples = rng.exponential(2.0, (400, 200))
    low, high = intervals(samples, draws=300)
    inside = int(((low <= 2.0) & (high >= 2.0)).sum())
    assert 180 <= inside <= 198  # 95 % of 200 is 190; three standard errors are 9


def test_a_paired_interval_is_narrower_than_either_models():
    rng = np.random.default_rng(6)
    hard = rng.random((500, 1))
    one, other = hard + rng.normal(0, 0.01, (500, 1)), hard + 0.02 + rng.normal(0, 0.01, (500, 1))
    (low,), (high,) = intervals(other - one)
    assert 0.015 < low < high < 0.025
    (low,), (high,) = intervals(one)
    assert high - low > 0.04
