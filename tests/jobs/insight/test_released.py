"""What may leave the house: how far one user counts, that noise is drawn once, and that the budget is kept."""

import math
from datetime import date, timedelta

import numpy as np
import pytest

import schemas
from jobs.gate import judge
from jobs.insight import contributions
from jobs.insight.budget import budget
from jobs.insight.released import released
from jobs.insight.spending import Spent, epsilon
from jobs.privacy import Privacy

NIGHT = date(2024, 3, 31)
TABLE, BUDGET = schemas.table("insight.released"), schemas.table("insight.budget")
GOODS = [
    {"item_id": "milk", "category": "dairy"},
    {"item_id": "curd", "category": "dairy"},
    {"item_id": "salt", "category": "spices"},
    {"item_id": "thing", "category": "unknown"},
]


def sales(frame, *lines):
    """behaviour.log of (user_id, item_id, quantity, days ago)."""
    told = []
    for user, item, quantity, ago in lines:
        day = NIGHT - timedelta(days=ago)
        line = {"day": day, "arrived": day, "event_type": "purchase", "user_id": user, "item_id": item}
        told.append({**line, "quantity": quantity})
    return frame("behaviour.log", *told).repartition(3)


def counts(made, key, count):
    return {row[key]: row[count] for row in made.collect()}


def apart(one, other):
    """The Euclidean norm of the difference."""
    return np.linalg.norm([one.get(key, 0) - other.get(key, 0) for key in {*one, *other}])


def test_a_user_counts_once_for_each_of_so_many_items_those_of_most_lines(frame, monkeypatch):
    monkeypatch.setattr(contributions, "ITEMS", 2)
    ann = [("ann", item, 1.0, ago) for item, often in (("milk", 3), ("curd", 2), ("salt", 1)) for ago in range(often)]
    bob = [("bob", "salt", 5.0, 27), ("bob", "salt", 5.0, 1), ("bob", "curd", 1.0, 28), ("bob", "milk", 1.0, -1)]
    both = counts(contributions.buyers(contributions.bought(sales(frame, *ann, *bob), 28, NIGHT)), "item_id", "people")
    assert both == {"milk": 1, "curd": 1, "salt": 1}
    without = counts(contributions.buyers(contributions.bought(sales(frame, *bob), 28, NIGHT)), "item_id", "people")
    assert apart(both, without) == pytest.approx(np.sqrt(2))


def test_a_users_units_have_a_bounded_norm(frame):
    """Ann's (6, 8) has the norm 10 and stays. Bob's (25, 11) is cut to (10, 10) and shrunk to 10 / √2 each. A line
    without a quantity is a unit."""
    lines = [("ann", "milk", 2.5, 0), ("ann", "curd", 3.5, 6), ("ann", "salt", 8.0, 1)]
    bob = [("bob", "milk", 25.0, 0), ("bob", "salt", 11.0, 2), ("bob", "salt", 90.0, 7), ("bob", "thing", 50.0, 1)]
    cy = [("cy", "milk", None, 3)]
    items = frame("catalogue.items", *GOODS)

    def told(*given, per=()):
        week = contributions.bought(sales(frame, *given), 7, NIGHT)
        return counts(contributions.units(week, items, per), "category", "thousandths")

    everybody = told(*lines, *bob, *cy)
    assert everybody == {"dairy": 6000 + 7071 + 1000, "spices": 8000 + 7071}
    assert 9_999 < apart(everybody, told(*lines, *cy)) <= 10_000
    assert told(*bob[:2], per=("day",)) == {"dairy": 10_000, "spices": 10_000}  # each day by itself


def test_values_are_capped_and_ages_are_those_that_are_known(frame):
    people = [
        {"user_id": "ann", "segment": "loyal", "value": 1500.0, "attributes": [("age", "35-44")]},
        {"user_id": "bob", "segment": "loyal", "value": 12.349, "attributes": [("income", "low")]},
        {"user_id": "cy", "segment": "new", "value": 0.0, "attributes": [("age", "41")]},
        {"user_id": "dee", "segment": "new", "value": 1000.0, "attributes": [("age", "35-44")]},
    ]
    users = frame("profiles.users", *people)
    told = {row["segment"]: (row["people"], row["cents"]) for row in contributions.groups(users, 1000.0).collect()}
    assert told == {"loyal": (2, 100_000 + 1234), "new": (2, 100_000)}
    assert counts(contributions.ages(users), "age", "people") == {"35-44": 2, "40-49": 1}


LAX = Privacy(epsilon=100.0, window_epsilon=150.0)  # so that noise hardly hides what is counted


@pytest.fixture(scope="module")
def run(frame):
    """Rows of insight.released by release, of 100 users who buy milk, 60 of whom refuse; one buys salt."""
    known = {"value": 50.0, "attributes": [("age", "41")]}
    people = {f"u{n:02}": "new" if n < 60 else "loyal" for n in range(100)}
    users = frame("profiles.users", *({"user_id": user, "segment": kind, **known} for user, kind in people.items()))
    refusing = [{"user_id": user, "preference": "no_profiling"} for user, kind in people.items() if kind == "new"]
    lines = sales(frame, *((user, "milk", 2.0, 1) for user in people), ("u99", "salt", 1.0, 1))
    given = lines, users, frame("catalogue.items", *GOODS), frame("profiles.preferences", *refusing)

    def make(privacy, earlier=None, day=NIGHT):
        rows = judge(released(*given, earlier, privacy, day=day), TABLE).collect()
        assert [row["_reason"] for row in rows if row["_rule"]] == []
        return {row["release"]: {name: row[name] for name in TABLE.column_names} for row in rows}

    return make


@pytest.fixture(scope="module")
def first(run):
    return run(LAX)


def test_a_release_counts_who_agreed_to_it(first):
    """Figures are those of the 40 who didn't refuse, and lie within six deviations of their noise."""
    assert list(first) == ["buyers", "people", "value", "ages", "units"]
    buyers, people, value, ages, units = first.values()
    assert all(figure >= 4 * buyers["scale"] for figure in buyers["figures"].values())
    assert abs(buyers["figures"]["milk"] - 40) < 6 * buyers["scale"]
    assert sorted(people["figures"]) == ["loyal", "new", "none", "occasional"]
    assert abs(people["figures"]["loyal"] - 40) < 6 * people["scale"]
    assert people["figures"]["new"] < 6 * people["scale"]
    # 2,000 and 40 with noise, divided
    most = 6 * (value["scale"] + 50 * people["scale"]) / (40 - 6 * people["scale"])
    assert abs(value["figures"]["loyal"] - 50) < most
    assert list(ages["figures"]) == ["40-49"]
    assert ages["figures"]["40-49"] >= ages["threshold"]
    assert sorted(units["figures"]) == ["dairy", "spices"]
    assert abs(units["figures"]["dairy"] - 80) < 6 * units["scale"]
    for row in first.values():
        assert row["rho"] == pytest.approx(row["bound"] ** 2 / (2 * row["scale"] ** 2))
    assert epsilon(Spent(sum(row["rho"] for row in first.values()), ages["delta"]), LAX.delta) <= 100


def test_noise_is_drawn_once_and_where_the_budget_is_spent_nothing_is_told(run, first, frame):
    kept = frame("insight.released", *({**row, "figures": list(row["figures"].items())} for row in first.values()))
    tomorrow = NIGHT + timedelta(days=1)
    assert run(LAX, kept) == run(Privacy(epsilon=0), kept) == first  # what was told stays told
    assert run(LAX, kept, day=tomorrow) == {}
    assert run(Privacy(epsilon=0)) == {}

    def told(day, privacy=LAX):
        (row,) = judge(budget(kept, privacy, day=day), BUDGET).collect()
        assert row["_rule"] is None, row["_reason"]
        return row

    tonight, refused = told(NIGHT), told(tomorrow)
    rho = math.fsum(row["rho"] for row in first.values())
    assert (tonight["released"], tonight["told"], tonight["rho"]) == (True, "Released.", rho)
    assert tonight["window_rho"] == refused["window_rho"] == rho
    assert tonight["epsilon"] <= 100
    assert refused["window_epsilon"] == epsilon(Spent(rho, refused["window_delta"]), LAX.window_delta)
    assert (refused["released"], refused["rho"], refused["epsilon"]) == (False, 0, 0)
    assert refused["told"] == (
        "Nothing is released: with tonight 30 nights would come to an epsilon of 155, at most 150 is allowed."
    )
    assert told(tomorrow, Privacy(epsilon=0))["told"] == "Nothing is released: NIGHT_EPSILON is 0."
