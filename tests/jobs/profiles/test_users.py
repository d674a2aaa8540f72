import hashlib
import hmac
import os
from datetime import date, datetime, timedelta
from math import e, log

import pytest

from jobs.profiles.tastes import FEWEST
from jobs.profiles.totals import totals
from jobs.profiles.users import users

NIGHT = date(2024, 3, 1)
GOODS = [
    {"item_id": "apple", "category": "fruit", "brand": "Orchard", "price": 1.0},
    {"item_id": "pear", "category": "fruit", "brand": None, "price": 2.0},
    {"item_id": "grape", "category": "fruit", "brand": "Vine", "price": 4.0},
    {"item_id": "bread", "category": "bakery", "brand": "Oven", "price": 3.0},
    {"item_id": "thing", "category": "unknown", "brand": None, "price": 3.0},
]

NOBODY = {
    "day": NIGHT,
    "segment": "none",
    "attributes": {},
    "events": 0,
    "purchases": 0,
    "baskets": 0,
    "first_day": None,
    "last_day": None,
    "recency_days": None,
    "frequency": 0.0,
    "value": 0.0,
    "price_level": None,
    "discount_share": None,
    "discount_elasticity": None,
    "price_elasticity": None,
    "categories": {},
    "brands": {},
    "variety": None,
    "intent": {},
    "half_life_days": None,
    "parts_of_day": {},
    "weekdays": {},
    "cadence_days": None,
    "due_day": None,
}


@pytest.fixture
def run(frame):
    """profiles.users by user_id."""

    def make(*lines, people=None, goods=GOODS, wishes=(), elasticities=()):
        people = None if people is None else frame("raw.users", *people)
        items = frame("catalogue.items", *goods)
        asked = frame("profiles.preferences", *wishes)
        so_far = totals(frame("behaviour.log", *lines), None, None, asked, day=NIGHT).localCheckpoint()
        made = users(so_far, items, frame("catalogue.elasticities", *elasticities), people, asked, day=NIGHT)
        return {row["user_id"]: row.asDict() for row in made.collect()}

    return make


def line(item_id, days_ago=0, **changes):
    day = NIGHT - timedelta(days=days_ago)
    row = {"day": day, "arrived": day, "event_type": "purchase", "user_id": "ann", "item_id": item_id}
    row |= {"ts": datetime(day.year, day.month, day.day, 10), "basket_id": f"b{days_ago}", "session_id": "s"}
    return {**row, **changes}


def test_every_figure_of_one_shopper(run):
    made = run(
        line("apple", 0, amount=6.0, discount=2.0),
        line("apple", 0, amount=3.0),  # discount unknown
        line("grape", 91, amount=10.0, discount=0.0),  # just outside the last 91 days
        line("pear", 90, amount=1.5, discount=0.5),
        line("apple", 1, event_type="return", amount=4.0),
        line(None, 100, event_type="search"),
    )
    old, older = 2 ** (-90 / 91), 2 ** (-91 / 91)
    ann = made["ann"]
    close = {name: ann.pop(name) for name in ("frequency", "discount_share", "price_level", "categories", "brands")}
    assert ann == {
        "day": NIGHT,
        "user_id": "ann",
        "segment": "new",
        "attributes": {},
        "events": 6,
        "purchases": 4,
        "baskets": 3,
        "first_day": date(2023, 11, 22),
        "last_day": NIGHT,
        "recency_days": 0,
        "value": 6.5,
        "discount_elasticity": 0.0,
        "price_elasticity": None,
        "variety": 0.0,
        "intent": {"fruit": 1.0},
        "half_life_days": 91,
        "parts_of_day": {"morning": 1.0},
        "weekdays": {"friday": 2 / 3, "saturday": 1 / 3},
        "cadence_days": 45.5,
        "due_day": NIGHT + timedelta(days=46),
    }
    assert close["frequency"] == pytest.approx(2 / 13)
    assert close["discount_share"] == pytest.approx(2.5 / 20)
    assert close["price_level"] == pytest.approx((0 + 0 + 1 + 0.5) / 4)
    assert close["categories"] == {"fruit": 1.0}
    assert close["brands"] == pytest.approx({"Orchard": 2 / (2 + older), "Vine": older / (2 + older)})
    assert old > older


def test_more_returned_than_bought_is_worth_nothing(run):
    made = run(line("apple", amount=2.0), line("apple", event_type="return", amount=5.0))
    assert (made["ann"]["value"], made["ann"]["purchases"], made["ann"]["events"]) == (0.0, 1, 2)


def test_segments_by_baskets_of_the_last_91_days(run):
    def baskets(user_id, count, first=0):
        return [line("apple", 0, user_id=user_id, basket_id=f"{user_id}{n}") for n in range(first, count)]

    made = run(
        *baskets("four", 4), *baskets("five", 5), *baskets("twelve", 12), *baskets("thirteen", 13),
        line("apple", 91, user_id="gone"), line("apple", 0, user_id="viewer", event_type="view"),
    )  # fmt: skip
    assert {user: row["segment"] for user, row in made.items()} == {
        "four": "new",
        "five": "occasional",
        "twelve": "occasional",
        "thirteen": "loyal",
        "gone": "none",
        "viewer": "none",
    }


def test_people_the_shop_knows_have_attributes_and_a_row_without_an_event(run):
    def hashed(user_id):
        key = os.environ["NIGHT_PSEUDONYM_KEY"].encode()
        return hmac.new(key, user_id.encode(), hashlib.sha256).hexdigest()[:32]

    people = [
        {"day": NIGHT, "user_id": "7", "attributes": {"age": "35-44"}},
        {"day": NIGHT, "user_id": "8", "attributes": None},
    ]
    made = run(line("apple", user_id=hashed("7")), line("apple", user_id="stranger"), people=people)
    assert {user: row["attributes"] for user, row in made.items()} == {
        hashed("7"): {"age": "35-44"},
        hashed("8"): {},
        "stranger": {},
    }
    assert made[hashed("8")] == {"user_id": hashed("8"), **NOBODY}
    # who wants no profile is somebody of whom nothing is known, whatever they did or the shop's list says
    wishes = [{"user_id": hashed(user), "preference": "no_profiling"} for user in ("7", "10")]
    wishes.append({"user_id": "stranger", "preference": "no_personalisation"})
    lines = [line("apple", user_id=user) for user in (hashed("7"), hashed("9"), "stranger")]
    refused = run(*lines, people=people, wishes=wishes)
    assert refused.keys() == {hashed("7"), hashed("8"), hashed("9"), "stranger"}  # of 10 nothing is known at all
    assert refused[hashed("7")] == {"user_id": hashed("7"), **NOBODY}
    assert refused["stranger"] == made["stranger"]


def test_variety_is_entropy_over_that_of_all_categories(run):
    goods = [{"item_id": name, "category": name, "price": 1.0} for name in "abcd"]
    made = run(
        line("a"), line("b"), line("c"), line("d"),
        line("a", user_id="half"), line("b", user_id="half"),
        line("a", user_id="third"), line("a", user_id="third"), line("b", user_id="third"),
        goods=goods,
    )  # fmt: skip
    third = -(2 / 3 * log(2 / 3) + 1 / 3 * log(1 / 3)) / log(4)
    assert {user: row["variety"] for user, row in made.items()} == pytest.approx(
        {"ann": 1.0, "half": 0.5, "third": third}
    )


def test_items_without_a_category_or_rivals_say_nothing_about_taste(run):
    made = run(line("thing"), line("bread", user_id="bob"))
    tastes = {user: (row["categories"], row["price_level"], row["variety"]) for user, row in made.items()}
    assert tastes == {"ann": ({}, None, None), "bob": ({"bakery": 1.0}, None, 0.0)}


def test_the_ten_largest_shares_stay_ties_by_name(run):
    goods = [{"item_id": f"i{n:02}", "category": f"c{n:02}", "brand": f"b{n:02}"} for n in range(12)]
    lines = [line(f"i{n:02}") for n in range(12)] + [line("i11")]
    ann = run(*lines, goods=goods)["ann"]
    expected = {"11": 2 / 13} | {f"{n:02}": 1 / 13 for n in range(9)}
    assert ann["categories"] == pytest.approx({f"c{name}": share for name, share in expected.items()})
    assert ann["brands"] == pytest.approx({f"b{name}": share for name, share in expected.items()})


def test_when_they_come_and_when_the_next_visit_is_due(run):
    def bought(days_ago, hour, minute=0, **changes):
        day = NIGHT - timedelta(days=days_ago)
        return line("apple", days_ago, ts=datetime(day.year, day.month, day.day, hour, minute), **changes)

    made = run(
        bought(21, 5, 59), bought(14, 6), bought(10, 18, basket_id="b10"), bought(10, 23, basket_id="b10"),
        bought(4, 12, basket_id="over midnight"), bought(3, 0, basket_id="over midnight"),
        bought(30, 8, user_id="bob"), bought(30, 9, user_id="bob", basket_id="second that day"),
    )  # fmt: skip
    ann, bob = made["ann"], made["bob"]  # gaps of 7, 4 and 6 days; the last basket ended a day after it began
    assert (ann["cadence_days"], ann["due_day"]) == (6.0, NIGHT + timedelta(days=3))
    assert ann["parts_of_day"] == dict.fromkeys(("night", "morning", "afternoon", "evening"), 0.25)
    assert ann["weekdays"] == {"friday": 0.5, "tuesday": 0.25, "monday": 0.25}
    assert (bob["baskets"], bob["cadence_days"], bob["due_day"]) == (2, None, None)


def test_intent_is_what_the_last_seven_days_were_about(run):
    made = run(
        line("apple", 6), line("apple", 7), line("pear", 8),
        line("bread", 0, event_type="view"), line("bread", 0, event_type="add_to_cart"),
        line("bread", 0, event_type="impression", clicked=True), line("bread", 1, event_type="impression"),
    )  # fmt: skip
    assert made["ann"]["intent"] == {"bakery": 0.75, "fruit": 0.25}
    assert made["ann"]["categories"] == {"fruit": 1.0}


@pytest.mark.parametrize(
    ("lately", "lines", "expected"),
    [("bread", FEWEST, 28), ("apple", FEWEST, 364), ("bread", FEWEST - 1, 91)],
)
def test_the_half_life_is_the_one_that_foretells_the_last_week(frame, lately, lines, expected):
    """Once fruit, of late a little bakery: who forgets soonest expects bakery, who remembers longest fruit."""
    day, half_lives = NIGHT - timedelta(days=7), (28, 91, 364)
    old = {"item_id": "apple", "lines": 9, "settled": day, "weights": [9 * 2 ** (-300 / each) for each in half_lives]}
    late = {"item_id": "bread", "lines": 1, "settled": day, "weights": [1.0, 1.0, 1.0]}
    recent = {"item_id": lately, "day": NIGHT, "lines": lines, "looks": 0}
    counts = {"refused": False, "events": 10, "purchases": 10, "baskets": [], "visits": []}
    so_far = frame(
        "profiles.totals", {"day": NIGHT, "user_id": "ann", "recent": [recent], "items": [old, late], **counts}
    )
    given = (frame("catalogue.items", *GOODS), frame("catalogue.elasticities"), None, frame("profiles.preferences"))
    made = users(so_far, *given, day=NIGHT).collect()
    assert [row["half_life_days"] for row in made] == [expected]


def test_a_catalogue_of_one_item_says_nothing_of_taste_and_fails_nowhere(run):
    ann = run(line("apple", 0), line("apple", 9), goods=GOODS[:1])["ann"]
    assert (ann["categories"], ann["brands"], ann["intent"]) == ({"fruit": 1.0}, {"Orchard": 1.0}, {"fruit": 1.0})
    assert (ann["price_level"], ann["variety"], ann["purchases"], ann["half_life_days"]) == (None, None, 2, 91)


def test_a_return_larger_than_its_purchase_is_taken_off_what_else_was_bought(run):
    made = run(
        line("apple", 3, amount=2.0), line("apple", 2, event_type="return", amount=5.0), line("pear", 1, amount=10.0)
    )  # fmt: skip
    assert (made["ann"]["value"], made["ann"]["purchases"], made["ann"]["events"]) == (7.0, 2, 3)


def test_who_buys_at_a_discount_more_often_than_others_do_in_the_same_categories(run):
    def bought(user_id, item_id, discounted, of):
        """``of`` lines, of which so many were discounted."""
        return [
            line(item_id, n, user_id=user_id, amount=1.0, discount=float(n < discounted), unit_price=None)
            for n in range(of)
        ]

    made = run(
        *bought("ann", "apple", 6, 8), *bought("bob", "pear", 2, 8), *bought("cy", "bread", 3, 3),
        line("apple", user_id="dan", amount=1.0), line("apple", 1, user_id="eve", discount=1.0),
    )  # fmt: skip
    # fruit: 8 of 16. The squares about 4 of 8 exceed their variance, 2, by 2 each, in 2 * 7 pairs: a correlation of
    # 4 / 28, so what all do counts for 6 lines. Bakery is always at a discount, which says nothing of anybody
    told = {user: row["discount_elasticity"] for user, row in made.items()}
    assert told == pytest.approx({"ann": log(9 / 5), "bob": log(5 / 9), "cy": None, "dan": None, "eve": None})
    assert [made[user]["discount_share"] for user in ("ann", "cy")] == pytest.approx([6 / 14, 0.5])
    # nobody differs from anybody: then all do what all do
    alike = run(*bought("ann", "apple", 2, 4), *bought("bob", "pear", 2, 4))
    assert [row["discount_elasticity"] for row in alike.values()] == [0.0, 0.0]


def test_who_pays_less_than_others_for_the_same_items_minds_prices_more(run):
    dear = [line("pear", n, user_id=user, unit_price=e**2) for user in ("ann", "bob") for n in range(2)]
    lines = [
        *(line("apple", n, unit_price=1.0) for n in range(2)),
        *(line("apple", n, unit_price=e**2, user_id="bob") for n in range(2)),
        *dear,
        line("bread", user_id="cy", unit_price=9.0),
        line("thing", user_id="dan", unit_price=9.0),
    ]
    told = [{"category": "fruit", "elasticity": -1.5}, {"category": "bakery", "elasticity": -0.5}]
    made = run(*lines, elasticities=told)
    # logarithms of apples: 0, 0 and 2, 2 with mean and variance 1; so users lie 2 apart with an information of 2, their
    # own elasticities vary by (4 - 2) * 2 / (2^2 * 2) = 1 / 2, and ann's is -2 / (2 + 1 / (1 / 2)). All paid alike for
    # pears, which say nothing
    found = {user: row["price_elasticity"] for user, row in made.items()}
    assert found == pytest.approx({"ann": -2.0, "bob": -1.0, "cy": -0.5, "dan": None}, abs=1e-6)
    assert {row["price_elasticity"] for row in run(*lines).values()} == {None}
