"""The cheapest first, with the diversity of the new order."""

import numpy as np

from jobs.ranking.blend import Blend
from jobs.ranking.reorder import by_price

VECTORS = np.array([[[1, 0], [1, 0], [0, 1], [0, 0]]] * 2, np.float32)
PRICES = np.array([[3.0, np.nan, 1.0, 1.0]] * 2)


def lists(picks):
    scores = np.array([[0.9, 0.8, 0.7, 0.6]] * 2)
    return Blend(np.array(picks), scores, np.full((2, 4), 0.125), {}, base=scores)


def test_only_who_asked_gets_the_list_by_price_and_unknown_prices_come_last():
    made = by_price(lists([[1, 0, 2, 3], [1, 0, 2, 3]]), np.array([True, False]), PRICES, VECTORS)
    # 2 and 3 cost the same and stay in their order; 0 is dearer; of 1 no price is known
    assert made.picks.tolist() == [[2, 3, 0, 1], [1, 0, 2, 3]]
    assert made.scores.tolist() == [[0.7, 0.6, 0.8, 0.9], [0.9, 0.8, 0.7, 0.6]]
    # 0 and 1 are alike, a zero vector is like nothing
    assert made.diversity.tolist() == [[1, 1, 1, 0], [0.125] * 4]


def test_the_end_of_a_short_list_stays_its_end():
    made = by_price(lists([[1, 0, -1, -1], [2, 1, 0, -1]]), np.array([True, True]), PRICES, VECTORS)
    assert made.picks.tolist() == [[0, 1, -1, -1], [2, 0, 1, -1]]
