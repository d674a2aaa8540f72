"""Metrics worked by hand, and who becomes champion."""

import math

import numpy as np
import pytest

from training.judge import Figures, best, decide, measure


def test_measure_by_hand():
    tops = np.array([[7, 3, 5], [1, 2, 4]])
    bought = [np.array([3, 5, 8, 9]), np.array([1])]
    # user 1: hits at ranks 2 and 3 of an ideal 3; user 2: the one item at rank 1
    dcg = 1 / math.log2(3) + 1 / math.log2(4)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    figures = measure(tops, bought, top=3)
    assert figures.ndcg_at_10 == pytest.approx((dcg / ideal + 1) / 2, abs=1e-12)
    assert figures.recall_at_10 == pytest.approx((2 / 4 + 1) / 2, abs=1e-12)
    assert figures.users == 2


def test_nothing_hit_is_zero():
    assert measure(np.array([[1, 2]]), [np.array([3])], top=2) == Figures(0.0, 0.0, 1)


def test_best_breaks_ties_by_position():
    assert best(np.array([[1.0, 5.0, 5.0, 0.0]])).tolist() == [[1, 2, 0, 3]]


def figures(ndcg: float) -> Figures:
    return Figures(ndcg, 0.1, 5)


@pytest.mark.parametrize(
    ("candidate", "champion", "popular", "promoted"),
    [
        (0.3, None, 0.1, True),
        (0.3, 0.2, 0.1, True),
        (0.3, 0.3, 0.1, False),  # a tie keeps the champion
        (0.3, 0.4, 0.1, False),
        (0.3, None, 0.3, False),  # a tie with popularity is not better
        (0.3, 0.2, 0.4, False),
        (math.nan, None, 0.1, False),
    ],
)
def test_only_the_better_becomes_champion(candidate, champion, popular, promoted):
    rival = None if champion is None else figures(champion)
    assert decide(figures(candidate), rival, figures(popular))[0] is promoted
