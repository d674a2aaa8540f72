"""A list explained: what it is made of, what it would be without one of its objectives, and what rules kept out."""

from dataclasses import replace

import pyarrow as pa
import pytest

from jobs.explain import _explained, lines
from jobs.lists.house import House
from jobs.lists.staged import Desk
from jobs.ranking.rules import Rule
from schemas.lists import Surface
from tests.jobs.lists.test_choice import NIGHT, OFFERS, SCHEMA, WEIGHED, shelf

__all__ = ["shelf"]  # the fixture


@pytest.fixture
def explained(shelf):
    """Of a surface of three places: bread brings much money when it is bought."""
    offers = [{"item_id": item, "relevance": relevance} for item, relevance in OFFERS.items()]
    offers[2]["spend"] = 20.0
    user = {"user_id": "ann", "policy": "model", "segment": "new", "buys": True, "wishes": [], "offers": offers}
    batch = pa.RecordBatch.from_pylist([user], SCHEMA)
    rules = [Rule("no cake", "exclude", "item", shelf.named.number("item", "cake"), None)]
    desk = Desk(Surface("home", 3, 200, True), None, shelf, House(rules, {}), WEIGHED)
    published = [{"item_id": item, "rank": rank} for rank, item in enumerate(("apple", "pear", "bread"), 1)]

    def explained(published=published):
        return _explained(desk, batch, published, NIGHT)

    explained.desk, explained.batch = desk, batch
    return explained


def test_an_item_says_where_it_would_stand_without_each_objective(explained):
    rows = explained().rows
    assert [row["item_id"] for row in rows] == ["apple", "pear", "bread"]
    # by money and variety alone: bread 2/3 x 2.5 / 1.5, then apple 2/3 x 1, then pear 2/3 x .5
    assert [row["without"]["relevance"] for row in rows] == [2, 3, 1]
    assert [row["without"]["expected_revenue"] for row in rows] == [1, 2, 3]
    assert [(row["title"], row["price"]) for row in rows] == [("Apple", 3.0), ("Pear", 2.0), ("Bread", 1.0)]


def test_a_person_reads_it_line_by_line(explained):
    told = lines(explained())
    assert told[0] == "home: 3 items"
    assert told[1:3] == ["  put together by mmr", "  1  Apple  [apple]  3.00"]
    assert "     weights relevance 0.700, expected_revenue 0.200, diversity 0.100" in told
    assert "     rank 3 -> 1 if relevance did not count" in told
    assert not [line for line in told if "if expected_revenue did not count" in line]
    assert told[-1] == "     kept out by rule no cake: Cake"


def test_how_the_list_was_put_together_is_told(explained):
    desk = replace(explained.desk, weighed=replace(WEIGHED, reranking={"everybody": {"dpp": 1.0, "calibration": 0.25}}))
    assert lines(_explained(desk, explained.batch, [], NIGHT))[2] == "  put together by dpp, calibration 0.250"


def test_tables_that_changed_since_are_told(explained):
    assert explained().published
    other = explained([{"item_id": "pear", "rank": 1}])
    assert "The tables have changed since these lists were published" in lines(other)[1]


def test_what_is_off_the_list_without_an_objective_is_said_so(explained):
    found = explained()
    found = replace(found, rows=[found.rows[0] | {"without": {"relevance": None}}])
    assert "     rank 1 -> off the list if relevance did not count" in lines(found)
