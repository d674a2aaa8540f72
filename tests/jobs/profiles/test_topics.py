from datetime import date

import numpy as np
import pytest

import schemas
from jobs.gate import judge
from jobs.profiles.topics import shared, topics

NIGHT = date(2024, 3, 1)


def test_shares_are_those_of_the_terms_where_topics_share_none():
    """Two topics with terms of their own, said 3 and 1 times: (3 + 0.1) / 4.2 and (1 + 0.1) / 4.2."""
    assert shared(np.array([3.0, 1.0]), np.eye(2)) == pytest.approx([3.1 / 4.2, 1.1 / 4.2])


def test_a_term_of_both_topics_goes_with_what_else_is_said():
    told = shared(np.array([1.0, 4.0]), np.array([[0.5, 0.5], [0.0, 0.5]]))
    assert told[0] > 0.9


def test_each_user_who_said_a_known_term_has_a_row(frame):
    found = [
        {"topic_id": 3, "topic": "beef", "terms": {"beef": 1.0}},
        {"topic_id": 5, "topic": "milk", "terms": {"milk": 1.0}},
    ]
    items = [{"item_id": kind, "category": kind.title()} for kind in ("beef", "milk", "soap")]
    histories = [
        {"user_id": "ann", "item_ids": ["beef"] * 7 + ["milk", "soap"]},  # beef counts 3, milk 1
        {"user_id": "bob", "item_ids": ["milk"]},
        {"user_id": "cy", "item_ids": ["soap"]},
    ]
    given = (
        frame("catalogue.topics", *found),
        frame("behaviour.histories", *histories),
        frame("catalogue.items", *items),
    )
    rows = judge(topics(*given, None, day=NIGHT), schemas.table("profiles.topics")).collect()
    assert {row["user_id"]: (row["topic_id"], row["topic"], row["shares"], row["_rule"]) for row in rows} == {
        "ann": (3, "beef", {3: pytest.approx(3.1 / 4.2, abs=1e-6), 5: pytest.approx(1.1 / 4.2, abs=1e-6)}, None),
        "bob": (5, "milk", {3: pytest.approx(0.1 / 1.2, abs=1e-6), 5: pytest.approx(1.1 / 1.2, abs=1e-6)}, None),
    }
