import logging
from datetime import date, timedelta

import pytest

import schemas
from jobs.behaviour.pseudonym import pseudonym_key, pseudonym_of
from jobs.catalogue.documents import documents
from jobs.catalogue.topics import Known, _known, recognised, topics
from jobs.gate import judge
from jobs.profiles.topics import topics as of_users

NIGHT = date(2024, 3, 1)
GROUPS = {
    "baker": ("Bread", "Flour", "Butter", "Sugar", "Eggs", "Jam"),
    "dog": ("Dog food", "Leash", "Ball", "Bones", "Brush", "Bowl"),
}


@pytest.fixture
def shop(frame):
    """Histories, items and reviews of 30 bakers and 30 owners of dogs, who each bought four of their six categories."""
    kinds = [kind for group in GROUPS.values() for kind in group]
    items = [{"item_id": kind, "category": kind} for kind in kinds]
    histories = [
        {"user_id": f"{who}{n:02}", "item_ids": [group[(n + step) % 6] for step in range(4)] * (1 + n % 3)}
        for who, group in GROUPS.items()
        for n in range(30)
    ]
    return frame("behaviour.histories", *histories), frame("catalogue.items", *items)


def test_documents_are_categories_bought_and_words_written(frame):
    ann, bob = (pseudonym_of(name, pseudonym_key()) for name in ("ann", "bob"))
    items = [
        {"item_id": "1", "category": "Soft Drinks"},
        {"item_id": "2", "category": "Soft Drinks"},
        {"item_id": "3", "category": "Beef"},
    ]
    history = {"user_id": ann, "item_ids": ["1", "2", "1", "3", "gone"]}
    written = [
        {"day": NIGHT - timedelta(days=back), "review_id": user, "user_id": user, "title": "Fresh", "text": text}
        for user in ("ann", "cy")
        for back, text in ((0, "The beef is fresh"), (1, "The beef is stale"))  # as it was before it was edited
    ]
    told = documents(
        frame("behaviour.histories", history), frame("catalogue.items", *items), frame("raw.reviews", *written)
    )
    assert sorted(map(tuple, told.collect())) == [(ann, "beef", 2), (ann, "fresh", 2), (ann, "soft drinks", 2)]
    assert bob not in {row["user_id"] for row in told.collect()}


def test_who_buys_alike_has_a_topic_that_is_known_again_and_each_user_their_shares(shop, frame, monkeypatch):
    monkeypatch.setitem(topics.__globals__, "TOPICS", 2)

    def made(histories, last=None):
        told = judge(topics(histories, shop[1], None, last, day=NIGHT), schemas.table("catalogue.topics")).collect()
        assert [row["_rule"] for row in told] == [None, None]
        return [{name: row[name] for name in schemas.table("catalogue.topics").column_names} for row in told]

    first = made(shop[0])
    assert made(shop[0].repartition(3)) == first
    places = {}
    for row in first:
        likely = sorted(row["terms"], key=row["terms"].get, reverse=True)[:6]
        (who,) = [who for who, group in GROUPS.items() if {each.lower() for each in group} == set(likely)]
        assert (row["share"], row["moved"]) == (pytest.approx(0.5, abs=0.05), None)
        assert row["topic"] == ", ".join(likely[:3])
        places[who] = row["topic_id"]
    assert sorted(places.values()) == [1, 2]

    again = made(shop[0].where("user_id != 'dog00'"), frame("catalogue.topics", *first))
    assert {row["topic_id"]: row["topic"] for row in again} == {row["topic_id"]: row["topic"] for row in first}
    assert all(0 < row["moved"] < 0.05 for row in again)

    told = judge(of_users(frame("catalogue.topics", *first), *shop, None, day=NIGHT), schemas.table("profiles.topics"))
    rows = told.collect()
    assert [row["_rule"] for row in rows] == [None] * 60
    assert {row["user_id"]: row["topic_id"] for row in rows} == {
        f"{who}{n:02}": places[who] for who in GROUPS for n in range(30)
    }
    assert all(sum(row["shares"].values()) == pytest.approx(1) for row in rows)


def test_too_few_people_have_no_topics(shop, frame, caplog):
    with caplog.at_level(logging.WARNING):
        assert topics(shop[0].where("user_id < 'c'"), shop[1], None, None, day=NIGHT).collect() == []
    assert "30 users with 6 terms that others share: no topics" in caplog.text
    assert of_users(frame("catalogue.topics"), *shop, None, day=NIGHT).collect() == []


def test_topics_keep_their_ids_and_a_name_while_its_terms_are_likely():
    known = Known([4, 9], ["beef, pork", "milk, eggs"], [{"beef": 0.6, "pork": 0.4}, {"milk": 0.8, "eggs": 0.2}], 12)
    found = [{"eggs": 0.6, "milk": 0.8}, {"dog food": 1.0, "leash": 0.5, "ball": 0.1}, {"beef": 0.6, "veal": 0.4}]
    ids, names, moved = recognised(found, known)
    assert ids == [9, 13, 4]
    assert names == ["milk, eggs", "dog food, leash, ball", "beef, veal"]
    assert moved[0] == pytest.approx(1 - (0.64 + 0.12) / 0.68**0.5)
    assert (moved[1], moved[2]) == (None, pytest.approx(1 - 0.36 / 0.52))


def test_topics_are_known_by_the_latest_night_that_was_made_and_no_id_of_late_comes_again(frame):
    rows = [
        {"day": NIGHT - timedelta(days=back), "topic_id": number, "topic": f"t{back}", "terms": {"beef": 1.0}}
        for back, numbers in ((2, (1, 2)), (4, (1, 2, 5)))
        for number in numbers
    ]
    known = _known(frame("catalogue.topics", *rows))
    assert (known.ids, known.names, known.largest) == ([1, 2], ["t2", "t2"], 5)
    assert _known(frame("catalogue.topics")) is None
