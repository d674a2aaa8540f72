"""What training reads: numbers, the cut in time, and clear errors."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import DAY, write_exposures, write_histories, write_items
from training.batches import Batches
from training.data import HELD_OUT_DAYS, load

END = 19814.0  # 2024-04-01, days since 1970


def small(lake: Path) -> None:
    """u buys a at ages 20 and 3, b at 8 (9 in the morning each); v buys only in the held-out week."""
    write_histories(lake, {"u": [("a", 20), ("b", 8), ("a", 3), ("gone", 2)], "v": [("c", 1)]})
    write_items(lake, {"c": "tea", "a": "milk", "b": "milk"})


def test_items_bought_before_the_cut_are_numbered_first_and_share_texts(tmp_path: Path):
    small(tmp_path)
    night = load(str(tmp_path), DAY)
    assert night.item_ids == ["a", "b", "c"]
    assert night.known == 2
    assert night.texts == ["milk", "tea"]
    assert night.text_of.tolist() == [0, 0, 1]
    assert night.versions == {"behaviour.histories": 0, "catalogue.items": 0}


def test_events_of_items_without_a_catalogue_row_are_left_out(tmp_path: Path):
    small(tmp_path)
    histories = load(str(tmp_path), DAY).histories
    assert histories.offsets.tolist() == [0, 3, 4]
    assert histories.items.tolist() == [0, 1, 0, 2]
    assert histories.times.tolist() == [END - 20 + 0.375, END - 8 + 0.375, END - 3 + 0.375, END - 1 + 0.375]


def test_training_sees_nothing_of_the_held_out_week(tmp_path: Path):
    small(tmp_path)
    write_exposures(
        tmp_path,
        [("u", "a", DAY - timedelta(days=7), True, 1.0), ("u", "b", DAY - timedelta(days=6), False, 1.0)],
    )
    night = load(str(tmp_path), DAY)
    assert (night.cut, night.end) == (END - 7, END)
    seen = night.training()
    assert seen.histories.items.tolist() == [0, 1]
    assert seen.histories.offsets.tolist() == [0, 2, 2]
    assert seen.exposures.days.tolist() == [END - 8]
    assert night.histories.between(night.cut, night.end).items.tolist() == [0, 2]


def test_the_fingerprint_is_of_what_training_sees(tmp_path: Path):
    marks = []
    for name, latest, oldest in (("one", "a", "a"), ("two", "b", "a"), ("three", "a", "b")):
        lake = tmp_path / name
        write_histories(lake, {"u": [(oldest, 20), ("b", 12), ("a", 9), (latest, 3)]})
        write_items(lake, {"a": "milk", "b": "tea"})
        marks.append(load(str(lake), DAY).fingerprint())
    assert marks[0] == marks[1]  # they differ in the held-out week alone
    assert marks[0] != marks[2]


def test_a_batch_never_looks_past_its_query_nor_past_the_cut(lake: Path, tiny):
    night = load(str(lake), DAY).training()
    batches = Batches(night, tiny)
    seen_last = 0
    for step in range(20):
        batch = batches.draw(step, rank=0)
        for row in range(tiny.users):
            for query in np.flatnonzero(batch["last"][row] >= 0):
                last, moment = batch["last"][row, query], batch["query_ages"][row, query]
                assert batch["ages"][row, last] > moment  # the history ends before the query's midnight
                if last + 1 < tiny.max_history:
                    assert batch["ages"][row, last + 1] <= moment  # and lacks nothing that came before it
                targets = batch["targets"][row, query]
                assert (batch["candidates"][targets[targets >= 0]] < night.known).all()
                seen_last += 1
    assert seen_last > 20 * tiny.users  # more than one query a user


def test_a_query_predicts_the_items_of_the_week_from_it(tmp_path: Path, tiny):
    # before the cut: a on day 30, b on day 20, c on day 16 of age; the only queries are 20 (week: b, c) and 16 (c)
    write_histories(tmp_path, {"u": [("a", 30), ("b", 20), ("c", 16), ("d", 12)]})
    write_items(tmp_path, {name: name for name in "abcd"})
    night = load(str(tmp_path), DAY).training()
    found = set()
    for step in range(20):
        batch = Batches(night, tiny).draw(step, rank=0)
        for row, query in zip(*np.nonzero(batch["last"] >= 0), strict=True):
            known = batch["history"][row, : batch["last"][row, query] + 1]
            before = "".join(night.item_ids[item] for item in batch["candidates"][known[known >= 0]])
            targets = batch["targets"][row, query]
            found.add((before, "".join(night.item_ids[item] for item in batch["candidates"][targets[targets >= 0]])))
    assert found == {("a", "bc"), ("ab", "cd"), ("abc", "d")}


def test_batches_are_a_function_of_step_and_rank(lake: Path, tiny):
    night = load(str(lake), DAY).training()
    first, again = Batches(night, tiny).draw(3, 1), Batches(night, tiny).draw(3, 1)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    other = Batches(night, tiny).draw(3, 0)
    assert not np.array_equal(first["history"], other["history"])


def test_missing_table(tmp_path: Path):
    with pytest.raises(ValueError, match=r"table behaviour\.histories is not in the lake"):
        load(str(tmp_path), DAY)


def test_missing_night(lake: Path):
    with pytest.raises(ValueError, match=r"table behaviour\.histories has no rows of night 2024-02-01"):
        load(str(lake), date(2024, 2, 1))


def test_an_item_without_text(tmp_path: Path):
    write_histories(tmp_path, {"u": [("a", 20)]})
    write_items(tmp_path, {"a": "milk", "b": None})
    with pytest.raises(ValueError, match=r"catalogue\.items: column text is null for item_id 'b'"):
        load(str(tmp_path), DAY)


def test_nothing_before_the_held_out_days(tmp_path: Path):
    write_histories(tmp_path, {"u": [("a", 2)]})
    write_items(tmp_path, {"a": "milk"})
    with pytest.raises(ValueError, match=f"before {HELD_OUT_DAYS} days ago"):
        load(str(tmp_path), DAY)


def test_one_item_histories_cannot_be_learned_from(tmp_path: Path, tiny):
    write_histories(tmp_path, {"u": [("a", 20)]})
    write_items(tmp_path, {"a": "milk"})
    with pytest.raises(ValueError, match="no user bought on two different days"):
        Batches(load(str(tmp_path), DAY).training(), tiny)
