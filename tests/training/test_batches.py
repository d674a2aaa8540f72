"""What a step learns from: nothing of the future, everybody once an epoch, the same after a kill."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import DAY, write_histories, write_items
from training.batches import batches
from training.data import load
from training.nexts import Nexts
from training.weeks import Weeks


def test_a_batch_never_looks_past_its_query_nor_past_the_cut(lake: Path, tiny):
    night = load(str(lake), DAY).training()
    batches = Weeks(night, tiny)
    seen_last = 0
    for step in range(20):
        batch = batches.draw(step, shard=0)
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
    # the cut is at an age of 7 days, so queries are midnights at ages from 33 (half of the 60) down to 14
    write_histories(tmp_path, {"u": [("z", 60), ("a", 30), ("b", 20), ("c", 16), ("d", 12)]})
    write_items(tmp_path, {name: name for name in "abcdz"})
    night = load(str(tmp_path), DAY).training()
    found = set()
    for step in range(40):
        batch = Weeks(night, tiny).draw(step, shard=0)
        for row, query in zip(*np.nonzero(batch["last"] >= 0), strict=True):
            known = batch["history"][row, : batch["last"][row, query] + 1]
            before = "".join(night.item_ids[item] for item in batch["candidates"][known[known >= 0]])
            targets = batch["targets"][row, query]
            found.add((before, "".join(night.item_ids[item] for item in batch["candidates"][targets[targets >= 0]])))
    assert found == {("z", "a"), ("za", "b"), ("za", "bc"), ("zab", "c"), ("zab", "cd"), ("zabc", "d")}


def test_batches_are_a_function_of_step_and_shard(lake: Path, tiny):
    night = load(str(lake), DAY).training()
    first, again = Weeks(night, tiny).draw(3, 1), Weeks(night, tiny).draw(3, 1)
    assert all(np.array_equal(first[name], again[name], equal_nan=True) for name in first)
    other = Weeks(night, tiny).draw(3, 0)
    assert not np.array_equal(first["history"], other["history"])


@pytest.mark.parametrize(("replay", "asked"), [(0.0, {"new"}), (1.0, {"old"}), (0.5, {"new", "old"})])
def test_a_warm_start_asks_for_new_days_but_for_those_replayed(lake: Path, tiny, replay: float, asked: set[str]):
    night = load(str(lake), DAY).training()
    recipe = replace(tiny, warm_steps=5, replay=replay)
    fresh_from = night.cut - 12
    drawn = Weeks(night, recipe, fresh_from)
    assert drawn.steps == 5
    rows = [row for step in range(10) for row in drawn.rows(step, 0, np.random.default_rng(step))]
    assert {"new" if row["midnight"][0] >= fresh_from else "old" for row in rows} == asked
    assert all((row["midnight"][1:] <= row["midnight"][0]).all() for row in rows)
    first, again = drawn.draw(3, 1), Weeks(night, recipe, fresh_from).draw(3, 1)
    assert all(np.array_equal(first[name], again[name], equal_nan=True) for name in first)


def test_those_without_new_days_are_only_replayed(tmp_path: Path, tiny):
    write_histories(tmp_path, {"u": [("a", 60), ("b", 30)], "v": [("a", 60), ("c", 30), ("d", 8)]})
    write_items(tmp_path, {name: name for name in "abcd"})
    night = load(str(tmp_path), DAY).training()
    users = {}
    for replay in (0.0, 1.0):
        drawn = Weeks(night, replace(tiny, replay=replay), night.cut - 7)
        rows = [row for step in range(10) for row in drawn.rows(step, 0, np.random.default_rng(step))]
        users[replay] = {night.item_ids[row["targets"][0, 0]] for row in rows}
    assert users == {0.0: {"d"}, 1.0: {"b", "c"}}  # v's new week asks for d
    everything = Weeks(night, replace(tiny, replay=0.0), night.cut)  # nothing is new: what there is, is replayed
    assert len(everything.draw(0, 0)["last"]) == tiny.users


def test_one_item_histories_cannot_be_learned_from(tmp_path: Path, tiny):
    write_histories(tmp_path, {"u": [("a", 20)]})
    write_items(tmp_path, {"a": "milk"})
    with pytest.raises(ValueError, match="no user bought on two different days"):
        Weeks(load(str(tmp_path), DAY).training(), tiny)


@pytest.fixture
def nexts(tiny):
    """The recipe for sequences, small: two users a micro-batch, two of these a step."""
    return replace(tiny, predict="next", users=2, shards=2, max_history=3, negatives=0, epochs=5)


def told(night, batch: dict[str, np.ndarray]) -> list[tuple[str, str]]:
    """Each query: the items before it, and the one after."""
    names = np.array([*night.item_ids, ""])
    history, targets = (names[np.append(batch["candidates"], -1)[batch[name]]] for name in ("history", "targets"))
    rows = zip(*np.nonzero(batch["last"] >= 0), strict=True)
    return [("".join(history[row, : batch["last"][row, query] + 1]), targets[row, query, 0]) for row, query in rows]


def test_every_event_asks_for_the_one_after_it(tmp_path: Path, nexts):
    write_histories(tmp_path, {"u": [("a", 30), ("b", 20), ("c", 16), ("d", 3)], "v": [("c", 9)]})
    write_items(tmp_path, {name: name for name in "abcd"})
    night = load(str(tmp_path), DAY).training()
    batch = batches(night, nexts).draw(0, shard=0)
    assert told(night, batch) == 2 * [("a", "b"), ("ab", "c")]
    assert batch["ages"].tolist() == 2 * [[10, 0]]
    assert batch["query_ages"].tolist() == batch["ages"].tolist()
    assert len(batch["candidates"]) == night.known  # no negatives drawn: all of them


def test_some_events_ask_for_a_later_one(tmp_path: Path, nexts):
    write_histories(tmp_path, {"u": [(name, 40 - place) for place, name in enumerate("abcde")]})
    write_items(tmp_path, {name: name for name in "abcde"})
    night = load(str(tmp_path), DAY).training()
    asked = Nexts(night, replace(nexts, later=0.5, max_history=4, users=1, shards=1, epochs=200))
    found = [told(night, asked.draw(step, 0)) for step in range(200)]
    assert {query for row in found for query in row} == {
        *(("a", later) for later in "bcd"),
        *(("ab", later) for later in "cde"),
        *(("abc", later) for later in "de"),
        ("abcd", "e"),
    }
    first = [row[0][1] for row in found]
    assert 0.4 < first.count("b") / len(first) < 0.6


def test_a_long_history_shows_another_part_every_epoch(tmp_path: Path, nexts):
    write_histories(tmp_path, {"u": [(name, 40 - place) for place, name in enumerate("abcdef")]})
    write_items(tmp_path, {name: name for name in "abcdef"})
    night = load(str(tmp_path), DAY).training()
    whole = {told(night, Nexts(night, nexts).draw(step, 0))[2] for step in range(40)}
    assert whole == {("abc", "d"), ("bcd", "e"), ("cde", "f")}


def test_everybody_comes_once_an_epoch(lake: Path, nexts):
    night = load(str(lake), DAY).training()
    drawn = Nexts(night, nexts)  # 24 users of two or more events: six steps of two micro-batches of two
    assert drawn.steps == 5 * 6
    for epoch in range(2):
        users = [user for step in range(6) for shard in range(2) for user in _users(drawn, 6 * epoch + step, shard)]
        assert sorted(users) == drawn.users.tolist()
    assert _users(drawn, 0, 0) == _users(Nexts(night, nexts), 0, 0)
    assert [_users(drawn, step, 0) for step in range(6)] != [_users(drawn, 6 + step, 0) for step in range(6)]


def _users(drawn: Nexts, step: int, shard: int) -> list[int]:
    drawn.draw(step, shard)
    return drawn._epoch[1][step % 6 * 2 + shard].tolist()


def test_one_event_is_no_sequence(tmp_path: Path, nexts):
    write_histories(tmp_path, {"u": [("a", 20)]})
    write_items(tmp_path, {"a": "milk"})
    with pytest.raises(ValueError, match="no user has two events"):
        batches(load(str(tmp_path), DAY).training(), nexts)
