"""What customers' scores are judged by, worked out by hand."""

import numpy as np
import pytest

from benchmarks.profiles import private
from benchmarks.profiles.customers import auc, calibration_error, gini


def test_gini_of_four_customers():
    # the best-scored brings 6 of 10, the next 3, 1 and 0: shares 0.6, 0.9, 1, 1 of which the mean is 0.875
    assert gini(np.array([4.0, 1.0, 3.0, 2.0]), np.array([6.0, 0.0, 3.0, 1.0])) == pytest.approx(0.75)
    # the other way round: 0, 0.1, 0.4, 1
    assert gini(-np.array([4.0, 1.0, 3.0, 2.0]), np.array([6.0, 0.0, 3.0, 1.0])) == pytest.approx(-0.25)


def test_auc_counts_pairs_and_half_of_ties():
    # pairs of one who left and one who stayed: (0.9, 0.5) right, (0.9, 0.1) right, (0.5, 0.5) a tie, (0.5, 0.1) right
    score, left = np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False])
    assert auc(score, left) == pytest.approx(3.5 / 4)
    assert auc(-score, left) == pytest.approx(0.5 / 4)


def test_calibration_error_is_over_ten_bins():
    # in order of what was said, two customers a bin; in the last bin both left, in all others nobody did
    said = np.repeat(np.arange(10) / 10, 2)
    left = np.repeat(np.arange(10) == 9, 2)
    expected = (np.arange(9) / 10).sum() / 10 + (1 - 0.9) / 10
    order = np.random.default_rng(0).permutation(20)
    assert calibration_error(said[order], left[order]) == pytest.approx(expected)


def test_noisy_counts_are_judged_at_the_items_of_most_buyers(monkeypatch):
    """Of the three best, a (10), b (8) and c (8), b is told as 6 and c not at all: 2 and 8 of 26 are missing."""
    monkeypatch.setattr(private, "TOP", 3)
    monkeypatch.setattr(private, "BEST", 2)
    exact = {"c": 8, "a": 10, "d": 1, "b": 8}
    found = private.judged({"a": 10.0, "d": 7.0, "b": 6.0, "e": 0.0}, exact)
    assert found == {"WAPE": 10 / 26, "of the best": 1, "items told": 3}
