from datetime import date, datetime, timedelta
from math import sqrt

import pytest
from pyspark.sql import functions as F

import schemas
from jobs.behaviour import exposures as module
from jobs.behaviour.exposures import BUCKETS, exposures

FRIDAY = date(2024, 3, 1)
MONDAY = date(2024, 2, 26)


def line(item_id, **changes):
    row = {"day": FRIDAY, "event_type": "purchase", "user_id": "ann", "item_id": item_id, "store_id": "s1"}
    row |= changes
    return {"arrived": row["day"], "ts": datetime(2024, 3, 1, 10), "event_id": f"{row['day']}-{item_id}", **row}


def promotion(item_id, **changes):
    row = {"store_id": "s1", "item_id": item_id, "start_day": MONDAY, "end_day": MONDAY + timedelta(6), **changes}
    return {"day": row["start_day"], **row}


@pytest.fixture
def whole_join(monkeypatch):
    """One bucket: every visit meets every promotion of its store and day."""
    monkeypatch.setattr(module, "BUCKETS", 1)


@pytest.fixture
def run(frame):
    def make(lines, promotions):
        made = exposures(frame("behaviour.log", *lines), frame("raw.promotions", *promotions), day=FRIDAY)
        return sorted((row.asDict() for row in made.collect()), key=lambda row: (row["item_id"], row["user_id"]))

    return make


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
    shared = {"day": FRIDAY, "user_id": "ann", "store_id": "s1", "weight": 1.0}
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


def test_a_source_without_promotions_has_no_exposures(frame):
    made = exposures(frame("behaviour.log", line("apple")), None, day=FRIDAY)
    contract = schemas.table("behaviour.exposures")
    assert [f"{name} {kind}" for name, kind in made.dtypes] == [f"{one.name} {one.type}" for one in contract.columns]
    assert made.collect() == []


def test_the_sample_is_seeded_and_its_weights_add_up_to_the_whole_join(spark, frame):
    visits, items, bought_each = 300, 2000, 5
    log = spark.range(visits * bought_each).select(
        F.lit(FRIDAY).alias("day"),
        F.lit(FRIDAY).alias("arrived"),
        F.lit("purchase").alias("event_type"),
        F.lit("s1").alias("store_id"),
        F.concat(F.lit("u"), F.col("id") % visits).alias("user_id"),
        F.concat(F.lit("i"), (F.col("id") * 7) % items).alias("item_id"),
    )
    promotions = spark.range(items).select(
        F.lit(MONDAY).alias("day"),
        F.lit("s1").alias("store_id"),
        F.concat(F.lit("i"), "id").alias("item_id"),
        F.lit(MONDAY).alias("start_day"),
        F.lit(FRIDAY).alias("end_day"),
        F.lit(None).cast("string").alias("display"),
        F.lit("page 1").alias("mailer"),
    )
    rows = exposures(log, promotions, day=FRIDAY).collect()
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
    again = exposures(log.repartition(3, "item_id"), promotions.repartition(3), day=FRIDAY)
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
