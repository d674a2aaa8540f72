import json
from datetime import date, datetime
from random import Random

import pytest

from jobs.behaviour.log import log

DAY = date(2024, 3, 1)
GOODS = ("apple", "bread", "cheese")


@pytest.fixture
def run(frame):
    """The rows that the job makes of raw events, as dictionaries; ``before`` holds the log's rows of earlier nights."""
    items = frame("raw.items", *({"day": DAY, "item_id": name} for name in GOODS))

    def make(events, before=None):
        earlier = recent = None
        if before is not None:
            last = max(row["arrived"] for row in before)
            earlier = frame("behaviour.log", *before)
            recent = frame("behaviour.log", *(row for row in before if row["arrived"] == last))
        made = log(frame("raw.events", *events), items, recent, earlier, day=DAY)
        return [row.asDict() for row in made.collect()]

    return make


def kept(rows):
    return [row for row in rows if row["_rule"] is None]


def sessions(rows):
    return {row["event_id"]: row["session_id"] for row in rows}


def test_an_event_keeps_its_values_under_a_pseudonym(run, event, pseudonym_of):
    bought = event("e1", "2024-03-01 10:00", event_type="purchase", quantity=4.0, amount=3.0, discount=0.5)
    bought |= {"basket_id": "b1", "store_id": "s1", "session_id": "theirs", "campaign_id": "c1"}
    (row,) = run([bought])
    ann = pseudonym_of("ann")
    filled = {name: value for name, value in row.items() if value is not None}
    assert filled == {
        "day": DAY,
        "arrived": DAY,
        "event_id": "e1",
        "event_type": "purchase",
        "ts": datetime(2024, 3, 1, 10),
        "user_id": ann,
        "item_id": "apple",
        "session_id": f"{ann}-1709287200",
        "basket_id": "b1",
        "store_id": "s1",
        "quantity": 4.0,
        "amount": 3.0,
        "unit_price": 0.75,
        "discount": 0.5,
        "campaign_id": "c1",
    }


def test_queries_lose_what_cannot_be_printed(run, event):
    search = {"event_type": "search", "item_id": None}
    typed = {"nul": "red\0 apple", "tabs": " red\t\n apple\r\n", "words": "蘋果 🍎 \u00a0 pie", "nothing": "\0 \x07"}
    rows = run([event(name, "2024-03-01 10:00", query=query, **search) for name, query in typed.items()])
    assert {row["event_id"]: row["query"] for row in rows} == {
        "nul": "red apple",
        "tabs": "red apple",
        "words": "蘋果 🍎 pie",
        "nothing": None,
    }


def test_nothing_bought_has_no_unit_price(run, event):
    (row,) = run([event("e1", "2024-03-01 10:00", quantity=0.0, amount=3.0)])
    assert row["unit_price"] is None


@pytest.mark.parametrize("many", [0, 10])
def test_the_second_event_of_an_id_is_rejected_with_its_source(run, event, monkeypatch, many):
    monkeypatch.setattr("jobs.behaviour.log.MANY", many)  # of ids told again: fewer are sought out first
    rows = run(
        [
            event("e1", "2024-03-01 11:00", item_id="bread"),
            event("e1", "2024-03-01 10:00"),
            event("e2", "2024-03-01 10:00"),
            event("e2", "2024-03-01 10:00"),
            event("e3", "2024-03-01 10:00"),
        ]
    )
    left = sorted((row["event_id"], row["item_id"]) for row in kept(rows))
    assert left == [("e1", "apple"), ("e2", "apple"), ("e3", "apple")]
    out = {row["event_id"]: row for row in rows if row["_rule"] is not None}
    assert len(rows) == 5
    assert {row["_rule"] for row in out.values()} == {"duplicate"}
    assert out["e1"]["_reason"] == "event_id 'e1' came before; the first is kept"
    source = json.loads(out["e1"]["_source"])
    assert (source["user_id"], source["item_id"], source["ts"]) == ("ann", "bread", "2024-03-01T11:00:00.000Z")
    assert [row["_source"] for row in kept(rows)] == [None, None, None]


def test_events_of_unknown_items_are_rejected_those_without_an_item_stay(run, event):
    rows = run(
        [
            event("e1", "2024-03-01 10:00", item_id="dragonfruit"),
            event("e2", "2024-03-01 10:00", event_type="search", item_id=None, query="fruit"),
        ]
    )
    assert {row["event_id"]: (row["_rule"], row["_reason"]) for row in rows} == {
        "e1": ("known_item", "item_id 'dragonfruit' is not in raw.items of the night"),
        "e2": (None, None),
    }


def test_half_an_hour_without_an_event_ends_a_session(run, event, pseudonym_of):
    rows = run(
        [
            event("first", "2024-03-01 10:00"),
            event("within", "2024-03-01 10:29:59.999999"),
            event("still", "2024-03-01 10:50"),
            event("after", "2024-03-01 11:20"),
            event("other", "2024-03-01 10:10", user_id="bob"),
            event("unknown", "2024-03-01 11:45", item_id="dragonfruit"),
            event("alone", "2024-03-01 12:00"),
        ]
    )
    ann, bob = pseudonym_of("ann"), pseudonym_of("bob")
    assert sessions(kept(rows)) == {
        "first": f"{ann}-1709287200",
        "within": f"{ann}-1709287200",
        "still": f"{ann}-1709287200",
        "after": f"{ann}-1709292000",
        "other": f"{bob}-1709287800",
        "alone": f"{ann}-1709294400",
    }


def test_a_late_event_lies_on_its_own_day_in_a_session_of_its_own(run, event):
    rows = run([event("early", "2024-02-27 10:00"), event("late", "2024-02-27 10:05", day=DAY)])
    found = {row["event_id"]: row for row in rows}
    assert (found["late"]["day"], found["late"]["arrived"]) == (date(2024, 2, 27), DAY)
    assert found["late"]["session_id"] != found["early"]["session_id"]


def test_a_session_goes_on_after_midnight(run, event):
    yesterday = run([event("e1", "2024-02-29 23:20"), event("e2", "2024-02-29 23:45")])
    today = run([event("e3", "2024-03-01 00:10"), event("e4", "2024-03-01 00:45")], before=yesterday)
    assert sorted(sessions(today)) == ["e3", "e4"]
    assert sessions(today)["e3"] == sessions(yesterday)["e1"]
    assert sessions(today)["e4"] != sessions(yesterday)["e1"]


def test_a_late_event_that_the_log_has_is_a_duplicate(run, event):
    before = run([event("e1", "2024-02-28 10:00"), event("e2", "2024-02-29 10:00")])
    rows = run([event("e1", "2024-02-28 10:00", day=DAY), event("e3", "2024-02-28 10:00", day=DAY)], before=before)
    assert {row["event_id"]: row["_rule"] for row in rows} == {"e1": "duplicate", "e3": None}


def test_nights_one_by_one_equal_all_at_once(run, event):
    events = [
        event("before", "2024-02-26 23:50"),
        event("midnight", "2024-02-27 00:10"),
        event("unknown", "2024-02-27 00:15", item_id="dragonfruit"),
        event("unknown", "2024-02-27 00:15", day=date(2024, 2, 28)),
        event("bridge", "2024-02-26 23:59", day=date(2024, 2, 28)),
        event("before", "2024-02-26 23:50", day=date(2024, 2, 28)),
        event("reused", "2024-02-26 09:00"),
        event("reused", "2024-02-28 09:00"),  # an id met again on time is another event
        event("reused", "2024-02-28 09:01"),
        *some_events(event, Random(7)),
    ]
    nightly = []
    for night in sorted({row["day"] for row in events}):
        nightly += run([row for row in events if row["day"] == night], before=kept(nightly) or None)
    history = run(events)
    assert ordered(nightly) == ordered(history)
    rules = [row["_rule"] for row in history]
    assert len(history) == len(events)
    assert {rule: rules.count(rule) > 2 for rule in set(rules)} == {None: True, "duplicate": True, "known_item": True}


def some_events(event, random):
    """A hundred events of three users in four nights, some late, repeated, or of an unknown item."""
    for number in range(100):
        night = random.choice([26, 27, 28, 29])
        day = random.choice([night, night, night, random.randint(26, night)])
        ts = f"2024-02-{day} {random.choice([0, 1, 12, 23]):02}:{random.randint(0, 59):02}"
        item_id = random.choice([*GOODS, *GOODS, "dragonfruit"])
        user_id = random.choice(["ann", "bob", "用户"])
        yield event(f"r{number % 80}", ts, day=date(2024, 2, night), item_id=item_id, user_id=user_id)


def ordered(rows):
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in rows)


def test_an_item_that_everybody_buys_is_joined_by_several_tasks(spark, frame, event):
    """Spark finds the item's part of the shuffle far larger than the others, and splits it; so the plan says."""
    settings = {
        "spark.sql.autoBroadcastJoinThreshold": "-1",  # as if the catalogue were too large to send around
        "spark.sql.shuffle.partitions": "8",
        "spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes": "8KB",
        "spark.sql.adaptive.advisoryPartitionSizeInBytes": "8KB",
    }
    rows = [event(f"e{n}", f"2024-03-01 10:{n % 60:02}", user_id="robot") for n in range(3_000)]
    rows += [event(f"b{n}", "2024-03-01 11:00", user_id=f"u{n}", item_id="bread") for n in range(3)]
    items = frame("raw.items", *({"day": DAY, "item_id": name} for name in GOODS))
    before = {name: spark.conf.get(name) for name in settings}
    try:
        for name, value in settings.items():
            spark.conf.set(name, value)
        made = log(frame("raw.events", *rows).repartition(8), items, None, None, day=DAY)
        told = made.collect()
        plan = made._jdf.queryExecution().executedPlan().toString()
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)
    assert "skew=true" in plan
    assert {row["event_id"] for row in told} == {row["event_id"] for row in rows}
    assert len({row["session_id"] for row in told}) == 4
