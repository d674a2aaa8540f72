"""The training benchmark: its figures by hand, and PyTorch alone beside two ranks of DeepSpeed on a tiny lake."""

import gc
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import __main__ as command
from benchmarks import training
from benchmarks.training import contenders, memory, shop, turns
from benchmarks.training.contenders import BARE, ONE, TWO, Contender, Steps
from tests.training.conftest import DAY
from tests.training.conftest import backbone as backbone  # a fixture
from tests.training.conftest import lake as lake  # likewise
from tests.training.conftest import tiny as tiny  # likewise
from training.data import load
from training.recipes import recipe


def test_the_shop_is_the_same_everywhere_and_shows_what_was_bought(tmp_path: Path):
    for name in ("a", "b"):
        shop.write(tmp_path / name, shop.Size(users=6, items=40, texts=8))
    night = load(str(tmp_path / "a"), shop.DAY)
    assert night.fingerprint() == load(str(tmp_path / "b"), shop.DAY).fingerprint()
    assert (len(night.user_ids), len(night.item_ids), len(night.texts)) == (6, 40, 8)
    lengths = np.diff(night.histories.offsets)
    assert lengths.min() >= 16
    assert lengths.max() <= 800
    shown = night.exposures
    happened = zip(night.histories.users, np.floor(night.histories.times), night.histories.items, strict=True)
    seen = zip(shown.users, shown.days, shown.items, strict=True)
    assert {row for row, bought in zip(seen, shown.bought, strict=True) if bought} == {
        row for row in happened if row[1] >= night.end - 63
    }


def test_tensors_are_counted_once_by_what_they_are_for():
    gc.collect()  # what other tests left would go while this one counts
    model = nn.Linear(10, 5)
    model.register_buffer("table", torch.zeros(1000))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 10)).sum().backward()
    optimizer.step()  # now it has its states
    found, more = memory.Held(model), memory.Held(model)
    found(optimizer, (), {})
    bucket = torch.zeros(300)
    more(optimizer, (), {})
    assert found.bytes["weights"] == 55 * 4
    assert found.bytes["states"] == 2 * 55 * 4 + 2 * 4  # and the count of steps of either parameter
    assert more.bytes["gradients"] - found.bytes["gradients"] == bucket.nbytes


def test_memory_settles_and_peaks():
    before = memory.settle()
    held = np.ones(30_000_000)
    assert memory.peak() - before >= held.nbytes * 0.9


def test_a_step_takes_as_long_as_its_slowest_rank(tmp_path: Path):
    held = {"weights": 4e6, "states": 2e6, "gradients": 1e6}
    one = {"cpu_s": [1.0, 1.5, 2.0], "loss": 3.0, "gradient_norm": 0.5, "queries": 40, "held": held, "flops": 7}
    first = {**one, "wall_s": [1.0, 4.0, 9.0], "resident": 5e6, "peak": 9e6, "creep": 1e6}
    second = {**one, "wall_s": [2.0, 3.0, 8.0], "resident": 2e6, "peak": 8e6, "creep": 3e6}
    for rank, found in enumerate((first, second)):
        (tmp_path / f"rank{rank}.json").write_text(json.dumps(found))
    two = Contender(replace(recipe("cpu"), users=10, shards=2), ranks=2)
    figures = contenders._figures(two, tmp_path)
    assert figures["steps_s"] == [2.0, 4.0, 9.0]
    assert (figures["step_s"], figures["cpu_s"]) == (4.0, 1.5)
    assert (figures["examples_per_s"], figures["queries_per_s"], figures["flops"]) == (5.0, 10.0, 14)
    assert (figures["peak_mb"], figures["grown_mb"], figures["creep_mb"], figures["weights_mb"]) == (9.0, 6.0, 3.0, 4.0)


def test_the_baton_goes_round(tmp_path: Path):
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    ring, order = turns.Ring(folders), []

    def take(place: int) -> turns.Baton:
        baton = turns.Baton(ring.pipes[place], ring.after(place))
        for _ in range(3):
            with baton.turn():
                order.append(place)
        return baton

    with ThreadPoolExecutor() as pool:
        done = [pool.submit(take, place) for place in (2, 0, 1)]
        ring.begin()
        last, _, _ = [each.result(timeout=10) for each in done]
    assert order == [0, 1, 2] * 3
    ring.close()  # while it is the first one's turn
    with pytest.raises(EOFError, match="is gone"), last.turn():
        pass


def test_utilisation_of_the_devices_peak(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(contenders.PEAK_VARIABLE, raising=False)
    assert contenders.utilisation(312e12, 2.0, "NVIDIA A100-SXM4-80GB") == 0.5
    assert contenders.utilisation(1.0, 1.0, "a GPU that nobody knows") is None
    monkeypatch.setenv(contenders.PEAK_VARIABLE, "624")
    assert contenders.utilisation(312e12, 2.0, "NVIDIA A100-SXM4-80GB") == 0.25


def test_goals_and_table():
    found = {BARE: {"examples_per_s": 20.0, "gpu_peak_mb": 7.0}, ONE: {"examples_per_s": 19.0, "mfu": 0.123}}
    found[TWO] = {"examples_per_s": 28.5}
    assert [(goal.reached, goal.met) for goal in training.goals(found).values()] == [(0.95, True), (1.5, False)]
    rows = training.table(found, None)
    assert [row[0] for row in rows[1:]] == [BARE, ONE, TWO, "GPU: none here, left out"]
    assert [row[1] for row in rows[1:]] == ["20.0", "19.0", "28.5", "-"]
    assert [row[-2:] for row in rows[1:3]] == [["7", "-"], ["-", "12.3%"]]
    assert len(training.table(found, "NVIDIA H200")) == 4
    assert command.table(rows).startswith(" ")


def test_pytorch_alone_does_what_deepspeed_does(lake: Path, tiny, tmp_path: Path):
    both = {BARE: Contender(tiny, bare=True), TWO: Contender(tiny, ranks=2)}
    found = contenders.take_turns(both, lake, DAY, Steps(warmup=2, counted=3), tmp_path)
    bare, two = found[BARE], found[TWO]
    assert two["loss"] == pytest.approx(bare["loss"], rel=1e-5)
    assert two["gradient_norm"] == pytest.approx(bare["gradient_norm"], rel=1e-4)
    assert two["queries_per_s"] * two["step_s"] == pytest.approx(bare["queries_per_s"] * bare["step_s"])
    assert bare["states_mb"] == pytest.approx(2 * bare["gradients_mb"], rel=0.02)  # AdamW has two for each weight
    assert two["states_mb"] == pytest.approx(bare["states_mb"] / 2, rel=0.05)  # ZeRO 1: each rank has its half
    assert two["flops"] == bare["flops"] > 0
    assert not list(tmp_path.rglob("mlflow.db"))
    assert not list(tmp_path.rglob("checkpoints/step*"))
    json.dumps(found)


def test_one_that_fails_ends_all(lake: Path, tiny, tmp_path: Path):
    both = {"a": Contender(replace(tiny, backbone=str(tmp_path))), "b": Contender(tiny, bare=True)}
    with pytest.raises(RuntimeError, match=r"^a failed:[^~]*has no fast tokenizer"):
        contenders.take_turns(both, lake, DAY, Steps(2, 1), tmp_path)
