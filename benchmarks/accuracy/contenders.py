"""Who takes part beside us: a name, and a function that makes lists for a split."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import PeakMemory
from benchmarks.accuracy import RIVAL_GPU, peers
from benchmarks.accuracy.protocol import Lists, Split, tops

PEERS = Path(__file__).parents[2] / "var/peers"  # their environment

PUBLISHED, NEURAL = ("ALS", "BPR"), ("SASRec", "eSASRec")

Contender = Callable[[Split], Lists]


def neighbours(half_lives: tuple[float, ...], of_late: tuple[float, ...] = ()) -> dict[str, Contender]:
    """Popularity, each user's most taken with each of these half-lives in days, and the neighbourhoods.

    Args:
        of_late: half-lives in days of further popularities.
    """
    popular = {
        f"popularity {half_life:g} d": lambda split, half_life=half_life: tops(
            peers.popularity(split, half_life), split
        )
        for half_life in of_late
    }
    own = {
        "top-frequency" + ("" if half_life == np.inf else f" {half_life:g} d"): (
            lambda split, half_life=half_life: tops(peers.top_frequency(split, half_life), split)
        )
        for half_life in half_lives
    }
    return {
        "popularity": lambda split: tops(peers.popularity(split), split),
        **popular,
        **own,
        "item-kNN": lambda split: tops(peers.item_knn(split), split),
        "TIFU-KNN": lambda split: tops(peers.tifu_knn(split), split),
    }


def published(folder: Path, seconds: float, neural: tuple[str, ...] = NEURAL) -> dict[str, Contender]:
    """Models of public packages, in their own environment; those of ``neural`` train for ``seconds``."""
    return {
        title: lambda split, title=title: _installed(title.lower(), split, folder, seconds)
        for title in PUBLISHED + neural
    }


def on_gpu(folder: Path, seconds: float) -> dict[str, Contender]:
    """The best neural peer on the GPU, for its whole schedule, or for ``seconds`` if that is less."""
    return {RIVAL_GPU: lambda split: _installed("esasrec_full", split, folder, seconds, gpu=True)}


def measured(name: str, contender: Contender, split: Split) -> tuple[Lists, dict[str, float]]:
    """The lists, and what they cost: seconds and peak_gib."""
    began = time.perf_counter()
    with PeakMemory() as peak:
        lists = contender(split)
    cost = {"seconds": round(time.perf_counter() - began, 1), "peak_gib": round(peak.gib, 2)}
    print(f"{name}: {cost['seconds']} s, {cost['peak_gib']} GiB", file=sys.stderr, flush=True)
    return lists, cost


def _installed(model: str, split: Split, folder: Path, seconds: float, *, gpu: bool = False) -> Lists:
    """Lists of a peer that runs in its own environment; without ``gpu`` it sees none, as our own training does."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"train": split.train, "asked": split.asked}
    arrays = {f"{part}_{name}": getattr(seen, name) for part, seen in parts.items() for name in ("offsets", "items")}
    np.savez(folder / "split.npz", items=split.items, users=split.users, **arrays)
    script = Path(__file__).with_name("installed.py")
    command = [str(python()), str(script), model, str(folder / "split.npz"), str(folder / "lists.npz"), str(seconds)]
    env = os.environ if gpu else {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{model} failed:\n{done.stderr[-2000:]}")
    for line in done.stderr.splitlines():
        if line.startswith("epochs"):
            print(f"{model}: {line}", file=sys.stderr, flush=True)
    with np.load(folder / "lists.npz") as lists:
        return dict(lists)


def python() -> Path:
    """The Python of the peers' environment, made if it isn't there."""
    found, uv = PEERS / "bin/python", Path(sys.executable).with_name("uv")
    if not (PEERS / "made").exists():
        pins = Path(__file__).with_name("installed.txt")
        subprocess.run([str(uv), "venv", "--quiet", "--clear", "--python", "3.11", str(PEERS)], check=True)
        subprocess.run([str(uv), "pip", "install", "--quiet", "--python", str(found), "-r", str(pins)], check=True)
        (PEERS / "made").touch()
    return found
