from datetime import date, timedelta

import numpy as np
import pytest

import schemas
from jobs.gate import judge
from jobs.insight.demand import Foretold, by_weekday, foretell, interval, level
from jobs.insight.forecasts import forecasts

NIGHT = date(2024, 3, 3)  # a Sunday
GOODS = [
    {"item_id": "milk", "category": "dairy"},
    {"item_id": "curd", "category": "dairy"},
    {"item_id": "salt", "category": "spices"},
    {"item_id": "thing", "category": "unknown"},
]


@pytest.fixture
def run(frame):
    """Rows of insight.forecasts by (level, name), in order of days, from (item_id, days ago, quantity)."""

    def make(*sales):
        lines = []
        for item, ago, quantity in sales:
            day = NIGHT - timedelta(days=ago)
            told = {"day": day, "event_type": "purchase", "item_id": item, "quantity": quantity}
            lines.append({**told, "arrived": day, "user_id": "ann"})
        told = forecasts(frame("behaviour.log", *lines).repartition(3), frame("catalogue.items", *GOODS), day=NIGHT)
        made = judge(told, schemas.table("insight.forecasts")).collect()
        assert [row for row in made if row["_rule"]] == []
        by_series = {}
        for row in sorted(made, key=lambda row: row["for_day"]):
            by_series.setdefault((row["level"], row["name"]), []).append(row)
        return by_series

    return make


def test_categories_add_up_their_items_and_only_what_sells_often_is_foretold_alone(run):
    """Of dairy 3 units a day, 5 on Sundays, for 20 weeks; salt was bought twice; what has no category is left out."""
    sales = [("milk", ago, 4.0 if ago % 7 == 0 else 2.0) for ago in range(140)]
    sales += [("curd", ago, None) for ago in range(140)]
    sales += [("salt", 20, 6.0), ("salt", 2, 1.0), ("thing", 1, 9.0), ("milk", -3, 99.0)]
    made = run(*sales)
    assert set(made) == {("category", "dairy"), ("category", "spices"), ("item", "milk"), ("item", "curd")}
    dairy = made["category", "dairy"]
    assert [row["for_day"] for row in dairy] == [NIGHT + timedelta(days=ahead) for ahead in range(1, 29)]
    assert [row["units"] for row in dairy] == pytest.approx([3, 3, 3, 3, 3, 3, 5] * 4, abs=0.2)
    assert {row["model"] for row in dairy} == {"theta"}
    assert all(row["low"] <= 3 + 2 * (row["for_day"].weekday() == 6) <= row["high"] for row in dairy)

    spices = made["category", "spices"]
    assert {row["model"] for row in spices} == {"weekday_mean"}
    # its 21 days begin on a Monday: six units then, one on a Friday
    assert [row["units"] for row in spices[:7]] == pytest.approx([6 / 3, 0, 0, 0, 1 / 3, 0, 0])
    assert {row["low"] for row in spices} == {None}  # no window to judge it by


def test_nothing_sold_is_nothing_foretold(run):
    assert run() == {}


def test_a_weekday_that_never_came_counts_as_a_day_like_others():
    assert by_weekday(np.array([2.0, 4.0]))[:8] == pytest.approx([3, 3, 3, 3, 3, 2, 4, 3])
    assert by_weekday(np.array([*[9.0] * 7, *[1.0] * 56]))[:2].tolist() == [1, 1]  # only the last eight weeks


def test_windows_are_foretold_by_what_was_known_before_them():
    rng = np.random.default_rng(0)
    sold = rng.poisson(5, 200).astype(float)
    one = foretell(sold)
    for window in range(4):
        end = len(sold) - 28 * (window + 1)
        np.testing.assert_array_equal(one.past[window], foretell(sold[:end]).units)
        np.testing.assert_array_equal(one.came[window], sold[end : end + 28])


def test_the_interval_leaves_out_as_much_of_past_errors_as_past_windows_allow():
    """Of errors spread evenly almost a twentieth an end is left out; of a third each at -1, 0 and 1 nothing."""
    past = np.full((3, 28), 3.75)  # whose spread is 2

    def series(errors):
        return Foretold(np.full(28, 15.75), "theta", past, past + 2 * np.reshape(errors, (3, 28)), whole=False)

    evenly = series(np.random.default_rng(0).permutation(np.linspace(-1, 1, 84)))
    assert 0.02 <= level([evenly]) <= 0.05
    low, high = interval(evenly, 0.05)
    assert (low, high) == (pytest.approx(np.full(28, 15.75 - 4 * 0.9)), pytest.approx(np.full(28, 15.75 + 4 * 0.9)))
    thirds = series(np.resize([-1.0, 0.0, 1.0], 84))
    low, high = interval(thirds, level([thirds]))
    assert (low[0], high[0]) == (pytest.approx(15.75 - 4), pytest.approx(15.75 + 4))


def test_bounds_of_whole_units_are_whole_and_never_below_none():
    past = np.full((2, 28), 0.75)
    one = Foretold(np.full(28, 0.75), "theta", past, past + np.resize([-0.5, 0.6], (2, 28)), whole=True)
    low, high = interval(one, 0.0)
    assert (set(low), set(high)) == ({0.0}, {2.0})
