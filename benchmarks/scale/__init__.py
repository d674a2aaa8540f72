"""The log and the profiles at one, ten and a hundred million events, beside the same queries in Polars and DuckDB.

Wall seconds and peak memory of each contender, each in a process of its own, on the same files of a bootstrapped shop;
no figure counts unless all that came to their end made the same rows. ``--events N`` ends at N events, ``--quick`` at
100,000.
"""

import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import date
from itertools import pairwise
from pathlib import Path

from benchmarks import Goal, PeakMemory, Result

TAKES = ("events",)
SIZES = (1_000_000, 10_000_000, 100_000_000)
QUICK = 100_000
GROWTH, RATIO, PEAK = 1.2, 2.0, 8.0
LEAVES = 0.15  # of the machine's memory, that a contender must leave
OURS, PEERS = "ours", ("polars", "duckdb")


def run(quick: bool, events: int = SIZES[-1]) -> Result:
    sizes = [QUICK] if quick else [size for size in SIZES if size < events] + [events]
    found = {}
    with tempfile.TemporaryDirectory(prefix="scale-") as place:
        for size in sizes:
            found[size] = _measured(Path(place, str(size)), size)
            shutil.rmtree(Path(place, str(size)))
    return Result(_goals(found), {"sizes": {str(size): told for size, told in found.items()}}, _table(found))


def _measured(folder: Path, events: int) -> dict[str, dict]:
    """Of each contender its seconds and peak memory."""
    from benchmarks.scale import shop  # Spark and the peers take seconds that the list needn't wait

    _say(f"{events:,} events: writing them")
    _apart(shop.write, folder, events)
    told = {}
    for name, contender in _contenders().items():
        _say(f"{events:,} events: {name}")
        try:
            told[name] = _apart(contender, folder, folder / name, shop.LAST)
        except (MemoryError, BrokenProcessPool) as error:
            if name == OURS:
                raise
            # a pool breaks when its process is gone, as one is that asks for more memory than it may have; or crashed
            told[name] = {"stopped": "out of memory" if isinstance(error, MemoryError) else "died: memory, or a crash"}
            _say(f"{events:,} events: {name} stopped: {told[name]['stopped']}")
        else:
            _say(f"{events:,} events: {name}: {_history(told[name]):,.1f} s, {told[name]['peak_gib']} GiB")
    from benchmarks.scale import same

    _apart(same.check, folder / OURS, shop.LAST, {name: folder / name for name in PEERS if "log" in told[name]})
    return told


def _contenders() -> dict[str, Callable[[Path, Path, date], dict]]:
    from benchmarks.scale import duck, ours, polar

    return dict(zip((OURS, *PEERS), (ours.run, polar.run, duck.run), strict=True))


def _apart(do: Callable, *given: object) -> dict:
    """What ``do`` returns in a process of its own, whose memory is gone afterwards, and the most that it held.

    Raises:
        BrokenProcessPool: if it died, as it does when it asks for more than LEAVES lets it have.
    """
    processes = multiprocessing.get_context("spawn")
    with PeakMemory() as peak, ProcessPoolExecutor(1, processes, initializer=_limited) as pool:
        made = pool.submit(do, *given).result()
    return {**(made or {}), "peak_gib": round(peak.gib, 2)}


def _limited() -> None:
    """Ends this process before the machine runs out of memory, and ends others for it."""
    most = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * (1 - LEAVES))
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _history(told: dict) -> float:
    return told["log"] + told["profiles"]


def _goals(found: dict[int, dict]) -> dict[str, Goal]:
    goals, sizes = {}, list(found)
    for less, more in pairwise(sizes):
        growth = _history(found[more][OURS]) / _history(found[less][OURS]) / (more / less)
        goals[f"cost of {more:,} events, times {more / less:g} of {less:,}"] = Goal(GROWTH, round(growth, 2))
    last = found[sizes[-1]]
    for name in (name for name in PEERS if "log" in last[name]):
        ratio = _history(last[OURS]) / _history(last[name])
        goals[f"{sizes[-1]:,} events, times {name}'s seconds"] = Goal(RATIO, round(ratio, 2))
    goals["peak memory, GiB"] = Goal(PEAK, max(told[OURS]["peak_gib"] for told in found.values()))
    return goals


def _table(found: dict[int, dict]) -> list[list[str]]:
    rows = [["contender, events", "log s", "profiles s", "events/s", "one night s", "peak GiB"]]
    for size, contenders in found.items():
        for name, told in contenders.items():
            if "stopped" in told:
                rows.append([f"{name}, {size:,}", f"stopped: {told['stopped']}", *[""] * 4])
                continue
            night = f"{told['night']:.1f}" if "night" in told else "-"
            seconds = (f"{told['log']:.1f}", f"{told['profiles']:.1f}", f"{size / _history(told):,.0f}")
            rows.append([f"{name}, {size:,}", *seconds, night, f"{told['peak_gib']:.2f}"])
    return rows


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
