"""Objectives as numbers, by hand."""

import numpy as np
import pytest

from jobs.ranking.values import Scale, expected_revenue, margins, novelty, own_spend, satisfaction, small_suppliers


def masked(*rows):
    return np.ma.masked_invalid(np.array(rows, dtype=np.float64))


def test_a_margin_is_what_the_cost_leaves_of_the_price_and_never_below_0():
    prices, costs = np.array([4.0, 2.0, 0.0, np.nan, 5.0]), np.array([1.0, 3.0, 1.0, 1.0, np.nan])
    np.testing.assert_array_equal(margins(prices, costs), [0.75, 0, 0, np.nan, np.nan])


def test_expected_revenue_is_the_chance_of_being_next_times_what_is_paid():
    relevance, spend, price = masked([0.5, 0.25, 0.25]), masked([6.0, None, None]), masked([4.0, 8.0, None])
    found = expected_revenue(relevance, spend, price)
    assert found.filled(-1).tolist() == [[3.0, 2.0, -1.0]]


def test_novelty_from_what_everybody_takes_to_what_nobody_does():
    # of 7 shoppers: log2(8 / 8), log2(8 / 4), log2(8 / 1), over log2(8)
    assert novelty(np.array([7, 3, 0]), 7) == pytest.approx([0, 1 / 3, 1])
    assert novelty(np.array([0]), 0).tolist() == [1]


def test_the_fewest_suppliers_with_half_of_all_sales_are_large():
    suppliers, sales = np.array([0, 0, 1, 2, -1, 3]), np.array([3.0, 2.0, 3.0, 2.0, 99.0, 0.0])
    # of 10: supplier 0 has 5, which is half
    assert small_suppliers(suppliers, sales).tolist()[:4] == [0, 0, 1, 1]
    assert np.isnan(small_suppliers(suppliers, sales)[4])
    assert small_suppliers(suppliers, sales)[5] == 1
    # 3 + 3 of 10 is more than half: both are large
    assert small_suppliers(np.array([0, 1, 2]), np.array([3.0, 3.0, 4.0])).tolist() == [0, 1, 0]
    assert np.isnan(small_suppliers(np.array([-1, -1]), np.ones(2))).all()


def test_a_purchase_brings_what_the_user_paid_before_beside_three_at_what_is_expected():
    lines = np.array(
        [  # user, item, money, basket
            (0, 2, 10.0, 7),
            (0, 2, 14.0, 7),  # the same basket: one purchase of 24
            (0, 2, 6.0, 8),
            (0, 1, np.nan, 8),  # nobody knows what it brought
            (0, -1, 50.0, 8),
            (1, 2, 1.0, 7),
            (1, 0, -4.0, 7),  # brought back
        ]
    )
    owners, items, baskets = (lines[:, place].astype(np.int64) for place in (0, 1, 3))
    expected = np.array([[2.0, 5.0, 8.0], [2.0, 5.0, np.nan]])
    told = own_spend(expected, np.array([[2, 1, -1], [0, 2, 2]]), owners, items, lines[:, 2], baskets)
    # two purchases of 30 and three of 2; one of 1 and three of 5
    np.testing.assert_allclose(told, [[(30 + 3 * 2) / 5, 5, 8], [2, (1 + 3 * 5) / 4, np.nan]])
    shuffled = np.array([6, 2, 0, 5, 3, 1, 4])
    again = (each[shuffled] for each in (owners, items, lines[:, 2], baskets))
    np.testing.assert_allclose(own_spend(expected, np.array([[2, 1, -1], [0, 2, 2]]), *again), told)
    nothing = np.zeros(0, np.int64)
    np.testing.assert_array_equal(own_spend(expected, np.zeros((2, 3), int), *[nothing] * 4), expected)


def test_satisfaction_of_what_is_known():
    shares = {"p_click": 0.25, "p_purchase": 0.75}
    told = satisfaction(masked([0.4, None, 0.4, None]), masked([0.2, 0.2, None, None]), shares)
    assert told.filled(-1).tolist() == [pytest.approx([0.25, 0.2, 0.4, -1])]


def test_a_scale_makes_the_best_list_1_an_item():
    values = masked([4.0, 2.0, None], [2.0, 0.0, 1.0])
    scale = Scale.of(values, 2)
    # the best two of each: 4, 2 and 2, 1
    assert scale == Scale(2.25, np.inf)
    assert scale.scaled(values).tolist() == pytest.approx(np.array([[4, 2, 0], [2, 0, 1]]) / 2.25)


def test_a_heavy_tail_is_cut_and_nothing_known_has_a_scale_all_the_same():
    values = masked(np.arange(101.0))
    assert Scale.of(values, 1, heavy=True) == Scale(98.0, 98.0)
    assert Scale.of(values, 1, heavy=True).scaled(values)[0, -3:].tolist() == [1, 1, 1]
    assert Scale.of(masked([None, None]), 1, heavy=True) == Scale(1.0, np.inf)
    assert Scale.of(masked([0.0, 0.0]), 1) == Scale(1.0, np.inf)
    with pytest.raises(ValueError, match=r"values\[0, 1\] is inf"):
        Scale(1.0, np.inf).scaled(np.ma.array([[1.0, np.inf]]))
