"""What was shown, as training reads it."""

import math
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from tests.training.conftest import DAY, write_exposures
from training import exposures


def test_no_table_is_nothing_shown(tmp_path: Path):
    shown, version = exposures.read(str(tmp_path), DAY, ["ann"], ["apple"])
    assert len(shown) == 0
    assert version is None


def test_a_table_of_before_clicks_were_kept(tmp_path: Path):
    rows = [("bob", "pear", DAY, True, 1.0), ("ann", "pear", DAY, False, 4.0), ("ann", "apple", DAY, False, 4.0)]
    write_exposures(tmp_path, [*rows, ("eve", "pear", DAY, True, 1.0), ("ann", "gone", DAY, True, 1.0)])
    shown, version = exposures.read(str(tmp_path), DAY, ["ann", "bob"], ["apple", "pear"])
    assert version == 0
    # by user, day and item; whom and what training doesn't know is left out
    assert (shown.users.tolist(), shown.items.tolist()) == ([0, 0, 1], [0, 1, 1])
    assert (shown.bought.tolist(), shown.weights.tolist()) == ([0, 0, 1], [4, 4, 1])
    assert all(map(math.isnan, shown.clicked))


def test_clicks_are_known_or_not_and_later_nights_are_not_seen(tmp_path: Path):
    later = date(2024, 4, 1)
    rows = {
        "user_id": ["ann"] * 4,
        "item_id": ["a", "b", "c", "d"],
        "day": [DAY, DAY, DAY, later],
        "clicked": [True, None, False, True],
        "bought": [False] * 4,
        "weight": [1.0] * 4,
    }
    write_deltalake(str(tmp_path / "behaviour/exposures"), pa.table(rows), partition_by=["day"])
    shown, _ = exposures.read(str(tmp_path), DAY, ["ann"], ["a", "b", "c", "d"])
    assert [None if math.isnan(each) else each for each in shown.clicked] == [1, None, 0]


def test_one_user_in_ten_is_left_out_and_always_the_same():
    users = [f"user {number}" for number in range(5000)]
    kept = exposures.left_out(users)
    assert kept.mean() == pytest.approx(0.1, abs=0.015)
    assert exposures.left_out(users[::-1])[::-1].tolist() == kept.tolist()
