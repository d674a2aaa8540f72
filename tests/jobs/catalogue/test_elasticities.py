from datetime import date, timedelta

import numpy as np
import pytest

import schemas
from jobs.catalogue.elasticities import elasticities, fitted, shrunk
from jobs.gate import judge

NIGHT = date(2024, 3, 1)
GOODS = [
    {"item_id": "apple", "category": "fruit"},
    {"item_id": "pear", "category": "fruit"},
    {"item_id": "bread", "category": "bakery"},
    {"item_id": "tea", "category": "drinks"},
]


@pytest.fixture
def run(frame):
    """catalogue.elasticities by category, none of which the gate refuses."""

    def make(*lines):
        told = elasticities(frame("behaviour.log", *lines).repartition(3), frame("catalogue.items", *GOODS), day=NIGHT)
        rows = judge(told, schemas.table("catalogue.elasticities")).collect()
        assert [row for row in rows if row["_rule"]] == []
        return {row["category"]: row.asDict() for row in rows}

    return make


def week(item_id, back, units, price, **changes):
    """All units of a week in two lines."""
    rows = []
    for n, share in enumerate((0.25, 0.75)):
        day = NIGHT - timedelta(days=7 * back + n)
        row = {"day": day, "arrived": day, "event_type": "purchase", "user_id": "ann", "item_id": item_id}
        rows.append(row | {"quantity": units * share, "amount": units * share * price} | changes)
    return rows


def lines(item_id, usual, elasticity, weeks, start=0):
    """A price of 1 and 2 in turn; at 1 it sells the usual number."""
    turns = ((back, 1 + back % 2) for back in range(start, start + weeks))
    return [row for back, price in turns for row in week(item_id, back, usual * price**elasticity, float(price))]


def test_units_of_a_week_go_with_its_price_each_item_about_its_own_mean(run):
    made = run(
        *lines("apple", 64.0, -2.0, 24),
        *lines("pear", 4.0, -2.0, 14),
        *lines("bread", 8.0, -1.0, 23),
        *lines("tea", 8.0, -3.0, 12),  # too few weeks to be told
        *week("apple", 60, 999.0, 9.0),  # longer ago than a year
        *week("apple", 0, 999.0, 9.0, event_type="return"),
        *week("apple", 0, 999.0, 9.0, event_type="view"),
    )
    assert made["fruit"]["estimate"] == pytest.approx(-2.0, abs=1e-3)
    assert (made["fruit"]["items"], made["fruit"]["weeks"], made["fruit"]["error"]) == (2, 38, 0.01)
    assert made["bakery"]["estimate"] == pytest.approx(-1.0, abs=1e-3)
    drinks = made["drinks"]
    assert (drinks["estimate"], drinks["error"], drinks["items"], drinks["weeks"]) == (None, None, 0, 0)
    assert drinks["elasticity"] == pytest.approx(-1.5, abs=1e-3)  # as the others on average


def test_an_item_that_sells_in_less_than_half_of_the_weeks_is_left_out(run):
    often = lines("apple", 64.0, -2.0, 40)
    made = run(*often, *lines("pear", 64.0, 3.0, 19))
    assert (made["fruit"]["items"], made["fruit"]["weeks"]) == (1, 40)
    assert run(*often, *lines("pear", 64.0, 3.0, 20))["fruit"]["items"] == 2


def test_a_shop_that_tells_no_quantities_has_none(run):
    made = run(*({**row, "quantity": None} for row in lines("apple", 64.0, -2.0, 40)))
    assert {(row["elasticity"], row["estimate"], row["items"]) for row in made.values()} == {(None, None, 0)}
    assert made.keys() == {"fruit", "bakery", "drinks"}


def test_a_slope_and_its_error_by_hand():
    # x is -1 and 1 in turn, y is 2 x in half of the weeks and 0 in the other: 24 weeks of two items
    slopes, errors = fitted(*(np.array([each]) for each in (2.0, 24.0, 24.0, 24.0, 48.0)))
    assert slopes.tolist() == [1.0]
    assert errors[0] == pytest.approx(np.sqrt((48 - 24) / 21 / 24))
    for nothing in (
        (5.0, 25.0, 24.0, 24.0, 48.0),  # 19 are free
        (2.0, 24.0, 0.0, 0.0, 48.0),  # one price
        (2.0, 24.0, 0.0023, 0.0, 0.0),  # which moved by less than one percent
        (2.0, 24.0, 1.0, 0.0, 84.1),  # an error of more than 2
    ):
        assert np.isnan(fitted(*(np.array([each]) for each in nothing))).all(), nothing
    assert fitted(*(np.array([each]) for each in (2.0, 24.0, 1.0, 0.0, 84.0)))[1].tolist() == [2.0]


def test_slopes_are_shrunk_to_their_mean_as_far_as_their_errors_ask():
    # -2 and 0 with errors of 1: the squares about -1 add up to 2, one more than chance, so categories vary by 1 too
    best = shrunk(np.array([-2.0, 0.0, np.nan]), np.array([1.0, 1.0, np.nan]))
    assert best == pytest.approx([-1.5, -0.5, -1.0])
    # no further apart than chance has them: all stand at the mean, by how exactly each is known
    assert shrunk(np.array([-1.0, -2.0]), np.array([1.0, 2.0])) == pytest.approx([-1.2, -1.2])
    assert shrunk(np.array([-3.0]), np.array([0.5])).tolist() == [-3.0]
    assert np.isnan(shrunk(np.array([np.nan]), np.array([np.nan]))).all()
