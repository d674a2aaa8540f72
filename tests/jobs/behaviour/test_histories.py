from datetime import date, datetime, timedelta

import pytest

from jobs.behaviour.histories import histories

DAY = date(2024, 3, 1)
START = datetime(2024, 2, 1, 8)


def line(event_id, item_id, minutes=0, **changes):
    ts = START + timedelta(minutes=minutes)
    row = {"event_type": "purchase", "user_id": "ann", "session_id": "s1", "day": ts.date(), "arrived": ts.date()}
    return {"event_id": event_id, "item_id": item_id, "ts": ts, **row, **changes}


@pytest.fixture
def run(frame):
    def make(*lines, wishes=None):
        wishes = None if wishes is None else frame("raw.preferences", *wishes)
        made = histories(frame("behaviour.log", *lines), wishes, day=DAY)
        return {row["user_id"]: row.asDict() for row in made.collect()}

    return make


def test_purchases_stand_in_order_of_time_then_of_event_id(run):
    made = run(
        line("e3", "cheese", amount=3.0, basket_id="b2", minutes=5),
        line("e2", "bread", basket_id="b1"),
        line("e1", "apple", amount=1.0),
        line("e0", "dates", amount=4.0, minutes=9),
        line("e4", "eggs", event_type="return", minutes=10),
        line("e5", "figs", event_type="view", minutes=11),
    )
    assert made == {
        "ann": {
            "day": DAY,
            "user_id": "ann",
            "item_ids": ["apple", "bread", "cheese", "dates"],
            "times": [START, START, START + timedelta(minutes=5), START + timedelta(minutes=9)],
            "amounts": [1.0, None, 3.0, 4.0],
            "baskets": ["s1", "b1", "b2", "s1"],
            "length": 4,
        }
    }


def test_who_never_bought_has_what_they_looked_at(run):
    made = run(
        line("e1", "apple", event_type="view"),
        line("e2", "bread", event_type="add_to_cart", minutes=1),
        line("e3", "cheese", event_type="review", minutes=2),
        line("e4", "dates", event_type="impression", clicked=True, minutes=3),
        line("e5", "eggs", event_type="impression", clicked=False, minutes=4),
        line("e6", "figs", event_type="impression", minutes=5),
        line("e7", None, event_type="search", minutes=6),
        line("e8", "apple", user_id="bob"),
        line("e9", "bread", user_id="eve", event_type="impression"),
    )
    assert {user: row["item_ids"] for user, row in made.items()} == {
        "ann": ["apple", "bread", "cheese", "dates"],
        "bob": ["apple"],
    }


def test_a_long_history_keeps_its_last_items_and_its_length(run, monkeypatch):
    monkeypatch.setattr("jobs.behaviour.histories.LONGEST", 1024)
    views = [line(f"v{n}", "view", event_type="view", minutes=n) for n in range(2000, 2010)]
    made = run(*(line(f"e{n:04}", f"i{n}", minutes=n) for n in range(1030)), *views)["ann"]
    assert made["item_ids"] == [f"i{n}" for n in range(6, 1030)]
    assert made["length"] == 1030


def test_who_wants_no_profile_has_no_history(run, pseudonym_of):
    wishes = [{"user_id": "ann", "preference": "no_profiling"}, {"user_id": "bob", "preference": "no_personalisation"}]
    lines = [line(f"e{user}", "apple", user_id=pseudonym_of(user)) for user in ("ann", "bob", "cy")]
    assert run(*lines, wishes=wishes).keys() == {pseudonym_of("bob"), pseudonym_of("cy")}
