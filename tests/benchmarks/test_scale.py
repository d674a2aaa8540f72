"""The benchmark of scale: its shop is the Complete Journey's in small, and contenders with other rows are an error."""

import os
from concurrent.futures.process import BrokenProcessPool
from datetime import date

import polars as pl
import pyarrow.parquet as pq
import pytest

from benchmarks import scale
from benchmarks.scale import duck, polar, same, shop

EVENTS = 30_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("scale") / "shop"
    shop.write(made, EVENTS)
    return made


@pytest.fixture(scope="module")
def made(folder):
    for contender in (duck, polar):
        contender.run(folder, folder / contender.__name__, shop.LAST)
    return folder / duck.__name__, folder / polar.__name__


def test_a_shop_is_written_in_parts_and_keeps_whole_households(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(shop, "CHUNK", 10_000)
    shop.write(tmp_path / "parts", EVENTS)
    assert len(list((tmp_path / "parts/events").iterdir())) >= 3
    for each in (folder, tmp_path / "parts"):
        events = pl.read_parquet(each / "events/*.parquet")
        assert events.height == EVENTS
        assert 20 <= events.height - events["event_id"].n_unique() <= 40  # one in a thousand is told twice
        late = events.filter(pl.col("day") > pl.col("ts").dt.date()).height
        assert late == pytest.approx(EVENTS / 200, rel=0.25)  # drawn: twelve more or fewer are one standard deviation
        assert events["user_id"].n_unique() == pq.read_metadata(each / "names.parquet").num_rows
        assert events["ts"].dt.date().min() >= date(2017, 1, 2)
        assert events.group_by("basket_id").agg(pl.col("user_id").n_unique())["user_id"].max() == 1
        assert 5 < EVENTS / events["basket_id"].n_unique() < 15  # lines a basket; 9.5 in the year


def test_a_peer_whose_memory_is_not_enough_says_so(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(duck, "MEMORY", "5MB")
    with pytest.raises(MemoryError, match="memory"):
        duck.run(folder, tmp_path / "duck", shop.LAST)


def test_the_peers_agree_and_a_difference_is_named(made):
    ducks, polars = (same._users(each / "users.parquet") for each in made)
    assert ducks.keys() == polars.keys()
    logs = [same._digest(pl.scan_parquet(each / "log.parquet")) for each in made]
    same._alike("polars", "behaviour.log", *logs)
    row = dict(next(iter(ducks.values())))
    row["weekdays"] = {name: row[f"day_{number}"] for number, name in enumerate(same.WEEKDAYS)}
    assert list(same.differences(row, polars[next(iter(ducks))])) == []
    wrong = row | {"events": row["events"] + 1, "value": row["value"] + 0.01, "categories": {"fruit": 1.0}}
    told = list(same.differences(wrong, row))
    assert [each.split(" ")[0] for each in told] == ["events", "value", "categories"]
    with pytest.raises(ValueError, match=r"polars: behaviour\.log differs"):
        same._alike("polars", "behaviour.log", logs[0], logs[1] | {"rows": 1})


def test_goals_are_of_growth_ratio_and_memory():
    def told(seconds, peak=1.0):
        return {"log": seconds, "profiles": seconds, "peak_gib": peak}

    found = {
        1_000: {"ours": told(2.0), "polars": told(1.0), "duckdb": told(1.0)},
        10_000: {"ours": told(30.0, 7.5), "polars": told(20.0, 9.0), "duckdb": told(10.0)},
    }
    goals = scale._goals(found)
    assert {name: (goal.reached, goal.met) for name, goal in goals.items()} == {
        "cost of 10,000 events, times 10 of 1,000": (1.5, False),
        "10,000 events, times polars's seconds": (1.5, True),
        "10,000 events, times duckdb's seconds": (3.0, False),
        "peak memory, GiB": (7.5, True),
    }


def dies(*_):
    os.abort()


def ends(*_):
    return {"log": 1.0, "profiles": 1.0}


def test_a_peer_that_dies_is_told_and_ours_may_not(monkeypatch, tmp_path):
    """Each in a process of its own, which has to find what it does by its name."""
    contenders = {"ours": ends, "polars": dies, "duckdb": ends}
    monkeypatch.setattr(scale, "_contenders", lambda: contenders)
    monkeypatch.setattr(shop, "write", ends)
    monkeypatch.setattr(same, "check", ends)
    found = {1_000: scale._measured(tmp_path, 1_000)}
    assert found[1_000]["polars"] == {"stopped": "died: memory, or a crash"}
    assert [row[0] for row in scale._table(found)[1:]] == ["ours, 1,000", "polars, 1,000", "duckdb, 1,000"]
    assert list(scale._goals(found)) == ["1,000 events, times duckdb's seconds", "peak memory, GiB"]
    contenders["ours"] = dies
    with pytest.raises(BrokenProcessPool):
        scale._measured(tmp_path, 1_000)
