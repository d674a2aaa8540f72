import logging
from datetime import date, timedelta

import numpy as np
import pytest

import schemas
from jobs.gate import judge
from jobs.profiles.clusters import FEATURES, Groups, Known, recognised
from jobs.profiles.segments import _known, segments

NIGHT = date(2024, 3, 1)


@pytest.fixture
def run(frame):
    """profiles.segments by user_id of (recency_days, frequency, monetary, discount_share) a user."""

    def make(last=None, **people):
        customers, users = [], []
        for user, (recency, frequency, monetary, discount) in people.items():
            bought = {"recency_days": recency, "frequency": frequency, "monetary": monetary}
            customers.append({"day": NIGHT, "user_id": user, **bought})
            users.append({"day": NIGHT, "user_id": user, "discount_share": discount})
        last = None if last is None else frame("profiles.segments", *last)
        told = segments(frame("profiles.customers", *customers), frame("profiles.users", *users), last, day=NIGHT)
        made = judge(told.repartition(3), schemas.table("profiles.segments")).collect()
        assert [row for row in made if row["_rule"]] == []
        names = schemas.table("profiles.segments").column_names
        return {row["user_id"]: {name: row[name] for name in names} for row in made}

    return make


def groups(*centres, silhouette=0.5):
    """Centres in standard deviations; one feature's own unit is two of them, its mean 10."""
    d = len(FEATURES)
    return Groups(np.full(d, 10.0), np.full(d, 2.0), np.array(centres, dtype=float), silhouette)


def test_two_kinds_of_customers_are_two_segments_and_known_again(run):
    def people(**changes):
        regular = {f"r{n:02}": (n % 3, 40 + n, 20.0 + n % 5, 0.1) for n in range(30)}
        hunters = {f"h{n:02}": (60 + n, 1 + n % 3, None if n == 0 else 4.0, 0.6) for n in range(15)}
        return regular | hunters | changes

    first = run(**people())
    assert {(user[0], row["segment_id"], row["segment"]) for user, row in first.items()} == {
        ("r", 1, "full price, frequent, recent"),
        ("h", 2, "bargain, rare, lapsed"),
    }
    assert {(row["previous_id"], row["moved"], row["changed"]) for row in first.values()} == {(None, None, None)}
    centre = first["r00"]["centre"]
    assert centre["frequency"] == pytest.approx(np.mean(np.log1p([40 + n for n in range(30)])))
    assert centre["discount_share"] == pytest.approx(0.1)
    assert centre["variety"] is None  # known of nobody

    # the next night one regular is gone for long and buys bargains, and a newcomer is like the regulars
    again = run(list(first.values()), **people(r00=(70, 2, 4.0, 0.6), new=(1, 45, 21.0, 0.1)))
    assert (again["r00"]["segment_id"], again["r00"]["previous_id"]) == (2, 1)
    assert (again["new"]["segment_id"], again["new"]["previous_id"]) == (1, None)
    assert {row["changed"] for row in again.values()} == {1 / 45}
    assert {row["segment"] for row in again.values()} == {row["segment"] for row in first.values()}
    assert 0 < again["r01"]["moved"] < 0.2


def test_customers_who_are_all_alike_are_one_segment(run, caplog):
    with caplog.at_level(logging.WARNING):
        made = run(**{f"u{n}": (3, 4, 5.0, None) for n in range(25)})
    told = {(row["segment_id"], row["segment"], row["distance"], row["silhouette"]) for row in made.values()}
    assert told == {(1, "everybody", 0.0, None)}
    assert "all 25 customers are alike: one segment" in caplog.text


def test_too_few_customers_are_one_segment_and_none_are_none(run, caplog):
    made = run(a=(1, 50, 9.0, 0.1), b=(90, 1, 2.0, 0.9))
    assert {row["segment"] for row in made.values()} == {"everybody"}
    assert "2 customers, segments need 20: one segment" in caplog.text
    assert run() == {}


def test_centres_keep_the_identity_of_the_nearest_and_the_name_while_it_is_true():
    """Of three centres one stays, one stands where no word of its name is true any more, one is too far from any."""
    plain = 10 + 2 * np.array([[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0.2], [-3, -3, 0, 0, 0, 0]])
    known = Known(np.array([4, 7, 5]), ["lapsed", "frequent, bargain", "recent, rare"], plain, 8)
    tonight = groups([0, 0.5, 0, 0, 0, -0.4], [1.2, 0, 0, 0, 0, 0], [0, 0, 3, 0, 0, 0])
    ids, names, moved = recognised(tonight, known)
    assert ids.tolist() == [7, 4, 9]
    assert names == ["frequent, full price", "lapsed", "high value"]
    assert moved == pytest.approx([np.hypot(0.5, 0.6), 0.2, np.nan], nan_ok=True)


def test_segments_are_known_by_the_latest_night_that_was_made_and_no_id_of_late_comes_again(frame):
    centre = {name: float(place) for place, name in enumerate(FEATURES)}
    rows = [
        {"day": NIGHT - timedelta(days=back), "user_id": f"u{number}", "segment_id": number, "segment": f"s{back}"}
        | {"centre": centre}
        for back, numbers in ((2, (1, 2)), (4, (1, 2, 5)))
        for number in numbers
    ]
    known = _known(frame("profiles.segments", *rows))
    assert (known.ids.tolist(), known.names, known.largest) == ([1, 2], ["s2", "s2"], 5)
    assert _known(frame("profiles.segments")) is None


def test_names_are_what_marks_the_centre_and_no_two_alike():
    same = [0, 2, 1, 0.9, 0, 0]
    _, names, _ = recognised(groups(same, same, [0.1, 0, 0, 0, 0, 0.2], [0, 2, 1, 0.9, 0.5, 0]), None)
    assert names == [
        "frequent, high value, varied",
        "frequent, high value, varied 2",
        "average",
        "frequent, high value, varied, premium",
    ]
