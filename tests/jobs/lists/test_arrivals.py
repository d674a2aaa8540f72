"""Arrivals: who may like what nobody had bought yet."""

import json
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from jobs.lists import arrivals as module
from jobs.lists.arrivals import STEEP, Arrivals
from jobs.lists.blocks import Block
from jobs.lists.scorer import FORMAT

# what an item says, two dimensions, and what no arrival has: a part of its own
SAYS = {"apple": (1, 0), "bread": (0, 1), "cake": (0.6, 0.8), "jam": (1, 0), "mute": (0, 0)}
NEW = ("cake", "jam", "mute")


@pytest.fixture
def made(tmp_path):
    (tmp_path / "items.json").write_text(json.dumps(["apple", "bread"]))
    (tmp_path / "manifest.json").write_text(json.dumps({"format": FORMAT, "text_dim": 2}))
    vectors = pa.array([[float(x) for x in (*says, 7)] for says in SAYS.values()], pa.list_(pa.float32()))
    seen = pa.array([date(2024, 5, day) for day in (1, 1, 31, 30, 29)])
    ids = pa.array(SAYS)
    table = pa.table({"item_id": ids, "vector": vectors, "first_seen": seen})

    def of(buyers=(3, 1, 0, 0, 0), shown=slice(None)):
        floor = table.slice(shown.start or 0)
        everything, some = Block(ids, table), Block(floor["item_id"].combine_chunks(), floor)
        return Arrivals.of(everything, np.array(buyers, float), some, str(tmp_path))

    return of


def names(places, shown=tuple(SAYS)):
    return [[shown[place] for place in row if place >= 0] for row in places]


def test_the_arrival_that_says_what_was_bought_comes_first(made):
    found = made().liked(pa.array([["apple"], ["bread", "bread"], None, [], ["gone"]]))
    assert [row[0] if row else None for row in names(found)] == ["jam", "cake", None, None, None]


def test_a_score_by_hand(made):
    """Both arrivals are as like what was bought; three bought what jam is like, and one what cake is like."""
    told = made()
    near = np.exp(STEEP * (np.array([0.6, 0.8]) - 1))
    cake = np.log1p(3) * near[0] + np.log1p(1) * near[1]
    jam = np.log1p(3) + np.log1p(1) * np.exp(-STEEP)
    assert told.own.tolist() == [2, 3, 4]
    np.testing.assert_allclose(told.sold, [cake, jam, (np.log1p(3) + np.log1p(1)) * np.exp(-STEEP)], rtol=1e-5)


def test_only_the_latest_are_compared_and_only_those_on_the_surface(made, monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    assert made().own.tolist() == [2, 3]
    behind = made(shown=slice(3, None))
    assert names(behind.liked(pa.array([["apple"]]), 1), ("jam", "mute")) == [["jam"]]


def test_a_model_that_knows_everything_leaves_nothing_to_compare(made, tmp_path):
    told = made()
    (tmp_path / "items.json").write_text(json.dumps(list(SAYS)))
    assert len(told.own) == 3
    assert made().liked(pa.array([["apple"]])).shape == (1, 0)
