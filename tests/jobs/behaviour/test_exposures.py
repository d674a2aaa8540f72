from datetime import date, datetime, timedelta
from math import sqrt

import pytest
from pyspark.sql import functions as F

import schemas
from jobs.behaviour import exposures as module
from jobs.behaviour.exposures import BUCKETS, UNMOVED, exposures
from jobs.behaviour.pseudonym import pseudonym_key, pseudonym_of

FRIDAY = date(2024, 3, 1)
MONDAY = date(2024, 2, 26)


def line(item_id, **changes):
    row = {"day": FRIDAY, "event_type": "purchase", "user_id": "ann", "item_id": item_id, "store_id": "s1"}
    row |= changes
    return {"arrived": row["day"], "ts": datetime(2024, 3, 1, 10), "event_id": f"{row['day']}-{item_id}", **row}


def impression(item_id, **changes):
    return line(item_id, **{"event_type": "impression", "store_id": None, **changes})


def promotion(item_id, **changes):
    row = {"store_id": "s1", "item_id": item_id, "start_day": MONDAY, "end_day": MONDAY + timedelta(6), **changes}
    return {"day": row["start_day"], **row}


def alike(**values):
    """Columns that are the same in every row."""
    return [F.lit(value).alias(name) for name, value in values.items()]


@pytest.fixture
def whole_join(monkeypatch):
    """One bucket: every visit meets every promotion of its store and day."""
    monkeypatch.setattr(module, "BUCKETS", 1)


@pytest.fixture
def whole_log(monkeypatch):
    """Every impression is kept, whatever came of it."""
    monkeypatch.setattr(module, "UNMOVED", 1)


@pytest.fixture
def run(frame):
    def make(lines, promotions=None, wishes=None):
        promoted = None if promotions is None else frame("raw.promotions", *promotions)
        made = exposures(frame("behaviour.log", *lines), promoted, wishes, day=FRIDAY)
        return sorted((row.asDict() for row in made.collect()), key=lambda row: (row["item_id"], row["user_id"]))

    return make


def test_who_wants_no_profile_has_no_exposures(run, whole_join, whole_log, frame):
    ann, bob = (pseudonym_of(name, pseudonym_key()) for name in ("ann", "bob"))
    lines = [line("apple", user_id=ann), line("apple", user_id=bob), impression("pear", user_id=ann)]
    wishes = frame("raw.preferences", {"user_id": "ann", "preference": "no_profiling"})
    assert {row["user_id"] for row in run(lines, [promotion("apple")])} == {ann, bob}
    assert {row["user_id"] for row in run(lines, [promotion("apple")], wishes)} == {bob}


def test_a_visit_meets_what_its_store_promotes_that_day(run, whole_join):
    lines = [
        line("apple"),
        line("apple", event_id="again"),  # in a second basket: still one exposure
        line("bread"),  # bought, never promoted
        line("cheese", event_type="view", user_id="bob"),  # looking is no visit
        line("cheese", store_id=None, user_id="eve"),
    ]
    promotions = [
        promotion("apple", display="front", mailer="page 1"),
        promotion("cheese", start_day=FRIDAY, end_day=FRIDAY),
        promotion("dates", store_id="s2"),
        promotion("eggs", end_day=FRIDAY - timedelta(1)),
        promotion("figs", start_day=FRIDAY + timedelta(1)),
    ]
    shared = {"day": FRIDAY, "user_id": "ann", "store_id": "s1", "clicked": None, "weight": 1.0}
    assert run(lines, promotions) == [
        {**shared, "item_id": "apple", "display": "front", "mailer": "page 1", "bought": True},
        {**shared, "item_id": "cheese", "display": None, "mailer": None, "bought": False},
    ]


def test_of_two_promotions_at_once_the_later_one_counts(run, whole_join):
    promotions = [promotion("apple", display="old"), promotion("apple", display="new", start_day=FRIDAY)]
    assert [(row["display"], row["bought"]) for row in run([line("apple")], promotions)] == [("new", True)]


def test_a_late_line_counts_when_it_arrives_under_the_promotions_of_its_own_day(run, whole_join):
    late = line("apple", day=MONDAY, arrived=FRIDAY)
    promotions = [promotion("apple", end_day=MONDAY), promotion("bread", start_day=FRIDAY)]
    assert [(row["day"], row["item_id"], row["bought"]) for row in run([late], promotions)] == [(FRIDAY, "apple", True)]


def test_a_source_without_promotions_and_impressions_has_no_exposures(frame):
    made = exposures(frame("behaviour.log", line("apple")), None, None, day=FRIDAY)
    contract = schemas.table("behaviour.exposures")
    assert [f"{name} {kind}" for name, kind in made.dtypes] == [f"{one.name} {one.type}" for one in contract.columns]
    assert made.collect() == []


def test_the_sample_is_seeded_and_its_weights_add_up_to_the_whole_join(spark, frame):
    visits, items, bought_each = 300, 2000, 5
    log = spark.range(visits * bought_each).select(
        *alike(day=FRIDAY, arrived=FRIDAY, event_type="purchase", store_id="s1"),
        F.lit(None).cast("boolean").alias("clicked"),
        F.concat(F.lit("u"), F.col("id") % visits).alias("user_id"),
        F.concat(F.lit("i"), (F.col("id") * 7) % items).alias("item_id"),
    )
    promotions = spark.range(items).select(
        *alike(day=MONDAY, store_id="s1", start_day=MONDAY, end_day=FRIDAY, mailer="page 1"),
        F.lit(None).cast("string").alias("display"),
        F.concat(F.lit("i"), "id").alias("item_id"),
    )
    rows = exposures(log, promotions, None, day=FRIDAY).collect()
    bought = [row for row in rows if row["bought"]]
    sampled = [row for row in rows if not row["bought"]]
    assert {(row["user_id"], row["item_id"]) for row in bought} == {
        (f"u{n % visits}", f"i{n * 7 % items}") for n in range(visits * bought_each)
    }
    assert len(bought) == visits * bought_each
    assert {row["weight"] for row in bought} == {1.0}
    assert {row["weight"] for row in sampled} == {float(BUCKETS)}
    # pairs are kept pairwise independently, so the weights' sum has the variance of so many coins of probability 1/200
    whole = visits * items - len(bought)
    assert abs(sum(row["weight"] for row in sampled) - whole) < 4 * sqrt(whole * (BUCKETS - 1))
    # not the same few items for everybody: an item is met unless none of 300 visits shares its bucket, 78 % are
    assert len({row["item_id"] for row in sampled}) > items / 2
    again = exposures(log.repartition(3, "item_id"), promotions.repartition(3), None, day=FRIDAY)
    assert sorted(again.collect()) == sorted(rows)


def test_nights_one_by_one_equal_all_at_once(run, monkeypatch):
    monkeypatch.setattr(module, "BUCKETS", 3)
    days = [FRIDAY - timedelta(n) for n in range(2)]
    lines = [line(item, day=day, user_id=user) for day in days for user in "abcdef" for item in ("apple", "bread")]
    promotions = [promotion(item) for item in ("apple", "cheese", "dates", "eggs", "figs", "grapes")]
    nightly = [row for day in days for row in run([one for one in lines if one["arrived"] == day], promotions)]
    history = run(lines, promotions)
    assert sorted(map(str, nightly)) == sorted(map(str, history))
    assert {row["bought"] for row in history} == {True, False}


def test_an_impression_tells_once_whether_it_was_clicked_and_bought(run, whole_log):
    lines = [
        impression("apple", clicked=True),
        impression("apple", event_id="again", clicked=False),  # shown twice, clicked once
        impression("bread", clicked=False),
        line("bread"),  # bought in a store, seen outside of it
        impression("cheese", clicked=False, event_id="first"),
        impression("cheese", clicked=None),
        impression("dates", clicked=None),
        impression("eggs", store_id="s1", clicked=True),
        impression("eggs", store_id="s2", clicked=False),
        line("eggs", user_id="bob"),
        line("eggs", event_type="add_to_cart"),
        impression(None, clicked=True),
        line("figs"),  # bought, never shown
    ]
    shared = {"day": FRIDAY, "user_id": "ann", "store_id": None, "display": None, "mailer": None, "weight": 1.0}
    shared |= {"clicked": False, "bought": False}
    assert sorted(run(lines), key=lambda row: (row["item_id"], str(row["store_id"]))) == [
        {**shared, "item_id": "apple", "clicked": True},
        {**shared, "item_id": "bread", "bought": True},
        {**shared, "item_id": "cheese"},
        {**shared, "item_id": "dates", "clicked": None},
        {**shared, "item_id": "eggs", "store_id": "s1", "clicked": True},
        {**shared, "item_id": "eggs", "store_id": "s2"},
    ]


def test_a_view_is_a_click_and_in_a_night_with_views_none_is_no_click(run, whole_log):
    thursday = FRIDAY - timedelta(1)
    lines = [
        impression("apple", clicked=None),
        line("apple", event_type="view", store_id="s1"),
        impression("bread", clicked=False),  # looked at another time
        line("bread", event_type="view"),
        impression("cheese", clicked=None),
        line("cheese", event_type="view", user_id="bob"),
        impression("dates", clicked=True),
        impression("eggs", clicked=None, day=thursday),
        line("eggs", event_type="view", day=FRIDAY - timedelta(2)),
        impression("figs", clicked=None, day=thursday, arrived=FRIDAY),  # late: of the night that it came in
    ]
    assert [(row["day"], row["item_id"], row["clicked"]) for row in run(lines)] == [
        (FRIDAY, "apple", True),
        (FRIDAY, "bread", False),
        (FRIDAY, "cheese", False),
        (FRIDAY, "dates", True),
        (thursday, "eggs", None),
        (FRIDAY, "figs", False),
    ]


def test_a_purchase_counts_for_the_impressions_of_the_night_it_came_in(run, whole_log):
    thursday = FRIDAY - timedelta(1)
    lines = [
        *(impression(item, day=day) for item in ("apple", "bread", "cheese") for day in (thursday, FRIDAY)),
        line("apple"),
        line("bread", day=thursday, arrived=FRIDAY),
        line("cheese", day=thursday),
    ]
    bought = {(row["item_id"], row["day"]) for row in run(lines) if row["bought"]}
    assert bought == {("apple", FRIDAY), ("bread", FRIDAY), ("cheese", thursday)}


def test_an_impression_of_what_its_store_promotes_counts_once_as_the_impression(run, whole_join, whole_log):
    lines = [line("apple"), impression("apple", store_id="s1", clicked=False), impression("bread", clicked=False)]
    promotions = [promotion("apple", display="front"), promotion("bread", display="front")]
    told = ("item_id", "store_id", "display", "clicked", "bought")
    rows = sorted(run(lines, promotions), key=lambda row: (row["item_id"], str(row["store_id"])))
    assert [tuple(row[name] for name in told) for row in rows] == [
        ("apple", "s1", None, False, True),
        ("bread", None, None, False, False),
        ("bread", "s1", "front", None, False),
    ]


def test_the_sample_of_impressions_is_seeded_and_its_weights_add_up_to_all_of_them(spark):
    shown = 6000
    number = F.col("id")
    log = spark.range(shown).select(
        *alike(day=FRIDAY, arrived=FRIDAY, event_type="impression"),
        F.lit(None).cast("string").alias("store_id"),
        F.when(number % 50 == 0, number % 100 == 0).alias("clicked"),
        F.concat(F.lit("u"), number % 60).alias("user_id"),
        F.concat(F.lit("i"), F.floor(number / 60)).alias("item_id"),
    )
    rows = exposures(log, None, None, day=FRIDAY).collect()
    clicked = {(row["user_id"], row["item_id"]) for row in rows if row["clicked"]}
    assert clicked == {(f"u{n % 60}", f"i{n // 60}") for n in range(0, shown, 100)}
    assert {(bool(row["clicked"]), row["weight"]) for row in rows} == {(True, 1.0), (False, float(UNMOVED))}
    unmoved = shown - len(clicked)
    sampled = [row for row in rows if not row["clicked"]]
    assert abs(sum(row["weight"] for row in sampled) - unmoved) < 4 * sqrt(unmoved * (UNMOVED - 1))
    # not all of a few users or items: a user has a hundred impressions, an item sixty
    assert {row["user_id"] for row in sampled} == {f"u{n}" for n in range(60)}
    assert len({row["item_id"] for row in sampled}) > 90
    again = exposures(log.repartition(3, "item_id"), None, None, day=FRIDAY).collect()
    assert sorted(map(str, again)) == sorted(map(str, rows))


def test_nights_of_impressions_one_by_one_equal_all_at_once(run, monkeypatch):
    monkeypatch.setattr(module, "UNMOVED", 2)
    days = [FRIDAY - timedelta(n) for n in range(2)]
    items, users = ("apple", "bread"), "abcdef"
    lines = [impression(item, day=day, user_id=user) for day in days for user in users for item in items]
    lines += [line("apple", day=days[0], user_id="a"), line("bread", event_type="view", day=days[1], user_id="b")]
    nightly = [row for day in days for row in run([one for one in lines if one["arrived"] == day])]
    history = run(lines)
    assert sorted(map(str, nightly)) == sorted(map(str, history))
    outcomes = {(row["clicked"], row["bought"]) for row in history}
    assert outcomes == {(None, False), (None, True), (False, False), (True, False)}
