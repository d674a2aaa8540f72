"""Totals go on from the night before, and are what all nights at once would give, bit by bit."""

from datetime import date, datetime, timedelta
from math import log
from random import Random

import pytest
from pyspark.sql import functions as F

from jobs.profiles.totals import totals

FIRST = date(2024, 3, 1)
KINDS = ("purchase", "purchase", "purchase", "return", "view", "search")


def line(n, day, user_id, **changes):
    """Purchase number ``n``."""
    row = {"day": day, "arrived": day, "event_id": str(n), "event_type": "purchase", "user_id": user_id}
    row |= {"ts": datetime(day.year, day.month, day.day, 10), "item_id": "apple", "session_id": f"s{n}"}
    return {**row, **changes}


def history(seed=7, lines=300, nights=11):
    """Events of five people; of each ten two come late, some of them a month late."""
    random, rows = Random(seed), []
    for n in range(lines):
        arrived = FIRST + timedelta(days=random.randrange(nights))
        day = arrived - timedelta(days=random.choice((0,) * 8 + (random.randrange(9), random.randrange(40))))
        kind = random.choice(KINDS)
        changes = {
            "arrived": arrived,
            "event_type": kind,
            "item_id": None if kind == "search" else random.choice("abcde"),
            "basket_id": random.choice((None, f"b{day}")),
            "amount": random.choice((None, round(random.random() * 9, 3))),
            "discount": random.choice((None, 0.0, round(random.random(), 3))),
            "unit_price": random.choice((None, 0.0, round(random.random() * 9, 3))),
            "ts": datetime(day.year, day.month, day.day, random.randrange(24)),
        }
        rows.append(line(n, day, random.choice(("ann", "bob", "cy", "di", "ed")), **changes))
    return rows


@pytest.fixture
def night(frame):
    """Totals of one night as rows, of the log up to it, or of the log since ``after`` and the rows of then."""

    def make(rows, day, last=None, after=None, refusing=()):
        told = [row for row in rows if row["arrived"] <= day]
        fresh = [row for row in told if after is None or row["arrived"] > after]
        wishes = [{"day": day, "user_id": user, "preference": "no_profiling"} for user in refusing]
        made = totals(
            frame("behaviour.log", *fresh).repartition(3),
            None if last is None else frame("profiles.totals", *last),
            None if last is None else frame("behaviour.log", *(row for row in told if row["arrived"] <= after)),
            frame("profiles.preferences", *wishes),
            day=day,
        )
        rows = [row.asDict(recursive=True) for row in made.collect()]
        return sorted(rows, key=lambda row: row["user_id"])

    return make


def test_nights_one_by_one_are_all_of_them_at_once_and_a_rerun_gives_the_same_bits(night):
    rows = history()
    days = [FIRST + timedelta(days=n) for n in (0, 1, 9, 10)]  # after the second a week was never run
    wishes = {days[1]: ("bob", "cy"), days[2]: ("cy",), days[3]: ("cy",)}
    one_by_one, last, after = {}, None, None
    for day in days:
        one_by_one[day] = last = night(rows, day, last, after, wishes.get(day, ()))
        after = day
    assert night(rows, days[-1], refusing=("cy",)) == one_by_one[days[-1]]
    assert night(rows, days[2], one_by_one[days[1]], days[1], ("cy",)) == one_by_one[days[2]]
    refused = {row["user_id"]: row for row in one_by_one[days[-1]]}["cy"]
    nothing = {"refused": True, "events": 0, "purchases": 0, "baskets": [], "visits": [], "recent": [], "items": []}
    nothing |= {"prices": []}
    nothing |= dict.fromkeys(("first_day", "last_day", "discount", "shelf")) | {"day": days[-1], "user_id": "cy"}
    assert refused == nothing
    assert sum(row["events"] for row in one_by_one[days[-1]]) == sum(row["user_id"] != "cy" for row in rows)


def test_a_night_reads_nothing_of_the_log_but_its_own_lines(night):
    """What it is told of earlier lines is what last night said of them, whatever the log says by now."""
    before = night([line(1, FIRST, "ann", amount=2.5)], FIRST)
    day = FIRST + timedelta(days=7)
    (ann,) = night([line(2, day, "ann", item_id="pear", amount=4.0)], day, before, FIRST)
    assert (ann["events"], ann["purchases"], ann["first_day"], ann["last_day"]) == (2, 2, FIRST, day)
    assert [(one["day"], one["lines"], float(one["money"])) for one in ann["visits"]] == [
        (FIRST, 1, 2.5),
        (day, 1, 4.0),
    ]
    assert [one["last"] for one in ann["baskets"]] == [FIRST, day]
    assert ann["recent"] == [{"item_id": "pear", "day": day, "lines": 1, "looks": 0}]
    weights = [2 ** (-7 / 28), 2 ** (-7 / 91), 2 ** (-7 / 364)]
    (apple,) = ann["items"]
    assert (apple["item_id"], apple["lines"], apple["settled"]) == ("apple", 1, day)
    assert apple["weights"] == pytest.approx(weights, rel=1e-15)


def test_what_an_item_was_bought_for_is_added_to_what_it_was_bought_for_before(night):
    rows = [
        line(1, FIRST, "ann", amount=2.0, discount=0.5, unit_price=2.0),
        line(2, FIRST, "ann", amount=4.0, discount=0.0, unit_price=4.0),
        line(3, FIRST, "ann", amount=4.0, unit_price=0.0),  # discount unknown, and given away
        line(4, FIRST, "ann", item_id="pear"),  # nothing told
        line(5, FIRST, "ann", event_type="return", amount=4.0, discount=1.0, unit_price=4.0),
    ]
    before = night(rows, FIRST)
    day = FIRST + timedelta(days=1)
    (ann,) = night([line(6, day, "ann", amount=1.0, discount=1.0, unit_price=0.5)], day, before, FIRST)
    (apple,) = ann["prices"]
    logs = {name: float(apple.pop(name)) for name in ("logs", "squares")}
    assert apple == {"item_id": "apple", "told": 3, "discounted": 2, "priced": 3}
    # of 2, 4 and 1 / 2, in units of log 2: 1 + 2 - 1, and 1 + 4 + 1
    assert logs == pytest.approx({"logs": 2 * log(2), "squares": 6 * log(2) ** 2}, abs=3e-9)


def test_money_that_is_no_number_isnt_told_and_none_is_too_large_to_be_added_up(night):
    rows = [line(1, FIRST, "ann", amount=2.0, discount=0.5), line(2, FIRST, "ann", amount=float("nan"), discount=0.5)]
    (ann,) = night(rows, FIRST)
    assert (float(ann["visits"][0]["money"]), float(ann["shelf"]), ann["purchases"]) == (2.0, 2.5, 2)
    with pytest.raises(Exception, match=r"behaviour\.log: an amount of 1e\+300 is too large"):
        night([line(1, FIRST, "ann", amount=1e300)], FIRST)


def test_a_basket_that_goes_on_or_comes_late_is_one_basket(night):
    at_midnight = datetime(2024, 3, 1, 23, 59)
    rows = [
        line(1, FIRST, "ann", basket_id="b", ts=at_midnight),
        line(2, FIRST + timedelta(days=1), "ann", basket_id="b"),
        line(3, FIRST, "ann", basket_id="b", arrived=FIRST + timedelta(days=2)),
    ]
    last = night(rows, FIRST)
    for n in (1, 2):
        last = night(rows, FIRST + timedelta(days=n), last, FIRST + timedelta(days=n - 1))
    (basket,) = last[0]["baskets"]
    assert (basket["began"], basket["last"]) == (datetime(2024, 3, 1, 10), FIRST + timedelta(days=1))
    assert last[0]["purchases"] == 3


def test_clocks_that_run_backwards_lose_nothing(night):
    """What is told tonight may have happened before all that was known, or within the same second."""
    before = night([line(1, FIRST, "ann", amount=2.0)], FIRST)
    day, long_ago = FIRST + timedelta(days=1), FIRST - timedelta(days=40)
    rows = [
        line(2, long_ago, "ann", arrived=day, amount=3.0),
        line(3, FIRST, "ann", arrived=day, amount=1.0, event_type="return"),
        line(4, FIRST, "ann", arrived=day, amount=4.0, session_id="s1", ts=datetime(2024, 3, 1, 9)),
    ]
    (ann,) = night(rows, day, before, FIRST)
    assert (ann["events"], ann["purchases"], ann["first_day"], ann["last_day"]) == (4, 3, long_ago, FIRST)
    visits = [(one["day"], one["lines"], float(one["money"])) for one in ann["visits"]]
    assert visits == [(long_ago, 1, 3.0), (FIRST, 2, 5.0)]
    assert [one["began"] for one in ann["baskets"]] == [datetime(2024, 1, 21, 10), datetime(2024, 3, 1, 9)]
    assert [(one["item_id"], one["lines"], one["settled"]) for one in ann["items"]] == [("apple", 1, day)]
    assert ann["recent"] == [{"item_id": "apple", "day": FIRST, "lines": 2, "looks": 0}]


def test_a_user_with_a_million_events_is_added_up_beside_the_others(spark, frame):
    """Five hundred lines of each of 200 items on each of ten days, and one line of somebody else."""
    many = 1_000_000
    busy = spark.range(many).select(
        F.lit("busy").alias("user_id"),
        F.concat(F.lit("i"), F.col("id") % 200).alias("item_id"),
        F.date_add(F.lit(FIRST), (F.floor(F.col("id") / 200) % 10).cast("int")).alias("day"),
        F.concat(F.lit("b"), F.floor(F.col("id") / 20_000)).alias("basket_id"),
        F.lit("purchase").alias("event_type"),
        F.lit(0.01).alias("amount"),
        F.lit(0.0).alias("discount"),
    )
    busy = busy.withColumn("arrived", F.col("day")).withColumn("ts", F.col("day").cast("timestamp"))
    ann = frame("behaviour.log", line(1, FIRST, "ann"))
    told = busy.unionByName(ann, allowMissingColumns=True).select(ann.columns)
    day = FIRST + timedelta(days=9)
    made = totals(told, None, None, frame("profiles.preferences"), day=day).collect()
    one, robot = sorted(made, key=lambda row: row["user_id"])
    assert (one["user_id"], one["events"]) == ("ann", 1)
    assert (robot["events"], robot["purchases"], len(robot["baskets"])) == (many, many, 50)
    assert [(visit["lines"], float(visit["money"])) for visit in robot["visits"]] == [(100_000, 1000.0)] * 10
    assert {each["lines"] for each in robot["recent"]} == {500}
    assert len(robot["recent"]) == 200 * 7
    assert [each["lines"] for each in robot["items"]] == [1500] * 200
