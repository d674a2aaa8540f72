"""What all micro-batches share, and people who bought far more than a history holds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import DAY, write_histories, write_items
from training.batches import batches
from training.data import load
from training.microbatch import pick, unseen


def test_pick_takes_all_or_a_sample_in_order():
    rng = np.random.default_rng(1)
    few, count = pick(np.array([5, 3]), 4, rng)
    assert (few.tolist(), count) == ([5, 3, -1, -1], 2)
    many, count = pick(np.arange(10, 20), 4, rng)
    assert count == 4
    assert (np.diff(many) > 0).all()
    assert set(many) <= set(range(10, 20))


def test_nothing_shown_weighs_nothing():
    nothing = unseen(2, 3)
    assert (nothing["shown"] == -1).all()
    assert np.isnan(nothing["clicked"]).all()
    assert not nothing["weight"].any()


def test_more_live_texts_than_a_batch_has_of_its_own_come_from_its_other_candidates(tmp_path: Path, tiny):
    write_histories(tmp_path, {"one": [("i00", 30), ("i01", 15)], "two": [(f"i{item:02}", 9) for item in range(9)]})
    write_items(tmp_path, {f"i{item:02}": f"milk {item}" for item in range(9)})
    night = load(str(tmp_path), DAY).training()
    for wanted in (1, 5, 50):
        batch = batches(night, replace(tiny, live_texts=wanted, negatives=0)).draw(0, 0)
        assert len(set(batch["live"])) == len(batch["live"]) == min(wanted, night.known)


@pytest.mark.parametrize("predict", ["week", "next"])
def test_fifty_thousand_events_are_read_a_history_at_a_time(tmp_path: Path, tiny, predict: str):
    """Beside somebody with two: no batch is wider than the recipe says, and none leaves out an event in between."""
    write_histories(tmp_path, {"few": [("i01", 30), ("i02", 15)], "many": [nth(place) for place in range(50_000)]})
    write_items(tmp_path, {f"i{item:02}": f"milk {item}" for item in range(50)})
    night = load(str(tmp_path), DAY).training()
    assert np.diff(night.histories.offsets).tolist() == [2, 50_000]
    drawn = batches(night, replace(tiny, predict=predict, epochs=1, users=1, shards=2))
    widths, whole = set(), 0
    for step in range(8 if predict == "week" else 1):
        for shard in range(2):
            batch = drawn.draw(step, shard)
            history = batch["candidates"][batch["history"][0]]
            widths.add(len(history))
            if (batch["history"] >= 0).all() and len(history) == tiny.max_history:
                whole += 1
                assert (np.diff(history) % 50 == 1).all()
                assert (np.diff(batch["ages"][0]) <= 0).all()
    assert max(widths) == tiny.max_history
    assert whole


def nth(place: int) -> tuple[str, int]:
    """A thousand events a day, item after item."""
    return f"i{place % 50:02}", 60 - place // 1000
