from datetime import date, datetime, timedelta

import pytest

from jobs.catalogue.items import items

NIGHT = date(2024, 3, 1)  # a Friday


@pytest.fixture
def run(frame):
    """catalogue.items by item_id; ``shop`` and ``sold`` are rows of raw.items and behaviour.log."""

    def make(shop, sold=(), foretold=None):
        shop = frame("raw.items", *({"day": NIGHT, **row} for row in shop))
        forecasts = None if foretold is None else frame("insight.forecasts", *foretold)
        made = items(frame("behaviour.log", *sold), shop, forecasts, day=NIGHT)
        return {row["item_id"]: row.asDict(recursive=True) for row in made.collect()}

    return make


def sale(days_ago, unit_price=1.0, item_id="apple", hour=10, **changes):
    day = NIGHT - timedelta(days=days_ago)
    ts = datetime(day.year, day.month, day.day, hour)
    row = {"day": day, "arrived": day, "ts": ts, "event_id": f"{item_id}-{days_ago}-{hour}", "event_type": "purchase"}
    return {**row, "item_id": item_id, "unit_price": unit_price, **changes}


def week(day, price):
    return {"day": date.fromisoformat(day), "price": price}


def test_figures_of_an_item_that_sells(run):
    sold = [
        sale(0, 2.0),
        sale(14, 4.0),
        sale(27, 3.0),
        sale(28, 9.0),
        sale(1, 0.0),  # given away: a purchase without a price
        sale(2, None),
        sale(3, 99.0, event_type="return"),
        sale(40, None, event_type="view"),
    ]
    apple = run([{"item_id": "apple", "price": 7.0}], sold)["apple"]
    figures = {name: apple[name] for name in ("price", "purchases", "purchases_28d", "first_seen", "last_sold")}
    assert figures == {
        "price": 3.0,
        "purchases": 6,
        "purchases_28d": 5,
        "first_seen": date(2024, 1, 21),
        "last_sold": NIGHT,
    }
    assert apple["popularity"] == pytest.approx(sum(2 ** (-age / 14) for age in (0, 14, 27, 28, 1, 2)), abs=1e-11)


def test_price_history_has_the_median_of_each_week_that_sold(run):
    sold = [
        sale(4, 1.0),  # Monday of this week
        sale(0, 4.0),
        sale(5, 2.0),  # Sunday of the week before
        sale(6, 3.0),
        sale(7, 7.0),
        sale(25 * 7 + 4, 5.0),  # Monday of the 26th week
        sale(25 * 7 + 5, 6.0),
    ]
    apple = run([{"item_id": "apple"}], sold)["apple"]
    assert apple["price_history"] == [week("2023-09-04", 5.0), week("2024-02-19", 3.0), week("2024-02-26", 2.5)]


def test_the_price_is_the_last_known_then_the_list_price(run):
    shop = [{"item_id": name, "price": 7.0} for name in ("apple", "bread")] + [{"item_id": "cheese"}]
    sold = [sale(200, 3.0, hour=9), sale(200, 5.0, hour=11), sale(300, 8.0), sale(1, 0.0, item_id="bread")]
    assert {name: row["price"] for name, row in run(shop, sold).items()} == {
        "apple": 5.0,
        "bread": 7.0,
        "cheese": None,
    }


def test_on_sale_is_the_shops_word_or_a_sale_in_56_days(run):
    shop = [{"item_id": name} for name in ("recent", "old", "never")]
    shop += [{"item_id": "listed", "available": True}, {"item_id": "withdrawn", "available": False}]
    sold = [sale(55, item_id="recent"), sale(56, item_id="old"), sale(0, item_id="withdrawn")]
    assert {name: row["on_sale"] for name, row in run(shop, sold).items()} == {
        "recent": True,
        "old": False,
        "never": False,
        "listed": True,
        "withdrawn": False,
    }


def test_stock_is_held_against_what_the_newest_forecast_expects_of_the_days_to_come(run):
    def units(made, item_id, *each, level="item"):
        """Of the days after ``made``, so many days before the night."""
        day = NIGHT - timedelta(days=made)
        row = {"day": day, "level": level, "name": item_id, "model": "theta"}
        return [row | {"for_day": day + timedelta(days=n), "units": one} for n, one in enumerate(each, 1)]

    names = {"three": 3.0, "exact": 4.5, "enough": 4.6, "none": 0.0, "untold": None, "unknown": 9.0, "fruit": 1.0}
    foretold = [
        # made the night before last, so the first two of its days are over
        *(row for name in names if name != "unknown" for row in units(2, name, 99.0, 50.0, 1.5, 1.5, 1.5)),
        *units(3, "enough", 99.0, 99.0, 99.0, 99.0),  # an older one
        *units(2, "unknown", 99.0, 99.0, 99.0, level="category"),
    ]
    shop = [{"item_id": name, "stock": stock} for name, stock in names.items()]
    made = run([*shop, {"item_id": "kept", "stock": 0.0, "available": True}], foretold=foretold)
    assert {name: made[name]["days_of_supply"] for name in names} == {
        "three": 2,
        "exact": None,
        "enough": None,
        "none": 0,
        "untold": None,
        "unknown": None,
        "fruit": 0,
    }
    assert {name: (made[name]["available"], made[name]["on_sale"]) for name in ("three", "none", "untold", "kept")} == {
        "three": (True, True),
        "none": (False, False),
        "untold": (None, False),
        "kept": (True, True),
    }


def test_an_item_nobody_touched_has_zeros_not_nulls(run):
    assert run([{"item_id": "apple", "title": "Apple", "cost": 1.25}])["apple"] == {
        "day": NIGHT,
        "item_id": "apple",
        "title": "Apple",
        "text": "Apple",
        "brand": None,
        "category_path": [],
        "category": "unknown",
        "price": None,
        "cost": 1.25,
        "price_history": None,
        "purchases": 0,
        "purchases_28d": 0,
        "popularity": 0.0,
        "first_seen": None,
        "last_sold": None,
        "available": None,
        "stock": None,
        "days_of_supply": None,
        "on_sale": False,
    }


def test_text_reads_title_brand_path_description(run):
    shop = {
        "item_id": "apple",
        "title": "RED APPLE\0 1 KG",
        "brand": "Orchard  & Sons",
        "category_path": ["PRODUCE", "FRUIT - FRESH", None, " ", "Pip fruit"],
        "description": "Crisp,\n\nsweet.",
    }
    apple = run([shop])["apple"]
    assert apple["title"] == "Red apple 1 kg"
    assert apple["category_path"] == ["Produce", "Fruit - fresh", "Pip fruit"]
    assert apple["category"] == "Fruit - fresh"
    assert apple["text"] == ("Red apple 1 kg. Orchard & Sons. Produce > Fruit - fresh > Pip fruit. Crisp, sweet.")


def test_without_a_title_description_category_or_id_stand_in(run):
    shop = [
        {"item_id": "1", "description": "A red apple from the valley, " + "very " * 20, "category_path": ["Fruit"]},
        {"item_id": "2", "title": " \0 ", "category_path": ["Fruit", "Apples"]},
        {"item_id": "3", "category_path": []},
        {"item_id": "4", "category_path": ["Fruit"]},
    ]
    made = run(shop)
    assert made["1"]["title"] == "A red apple from the valley, very very very very very very very very very very v"
    assert {name: made[name]["title"] for name in "234"} == {"2": "Apples", "3": "Item 3", "4": "Fruit"}
    assert {name: made[name]["category"] for name in "234"} == {"2": "Apples", "3": "unknown", "4": "Fruit"}


def test_long_and_foreign_texts(run):
    made = run(
        [
            {"item_id": "long", "title": "x" * 100_000, "description": "y" * 100_000},
            {"item_id": "chinese", "title": "紅蘋果🍎", "description": "又甜又脆"},
            {"item_id": "turkish", "title": "İYİ ELMA"},
        ]
    )
    assert made["long"]["title"] == "x" * 500
    assert len(made["long"]["text"]) == 600
    assert made["chinese"]["text"] == "紅蘋果🍎. 又甜又脆"
    assert made["turkish"]["title"].startswith("İy")
