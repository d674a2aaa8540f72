"""One module a claim: ``python -m benchmarks NAME``. A benchmark is a module here with ``run(quick) -> Result``."""

import os
import platform
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Goal:
    """A figure and what it was to be: at most ``goal``, or at least where ``least`` says so."""

    goal: float
    reached: float
    least: bool = False

    @property
    def met(self) -> bool:
        return self.reached >= self.goal if self.least else self.reached <= self.goal


@dataclass(frozen=True)
class Result:
    """What one benchmark found.

    Args:
        goals: by name.
        figures: everything measured, ready for JSON.
        table: the same for people; the first row holds the headings.
    """

    goals: dict[str, Goal]
    figures: dict
    table: list[list[str]] = field(default_factory=list)


RARE = 50  # times what a sample takes, between two of them: 2 % of one core


class PeakMemory:
    """Samples the memory of this process and its children: ``with PeakMemory() as peak: ...; peak.gib``.

    Proportional set size: a page that two processes share counts half for each. To add it up takes the kernel a tenth
    of a second for some gigabytes, during which the process can't get memory; so the more it takes, the rarer it is.
    """

    def __init__(self, every: float = 0.2):
        self.gib = 0.0
        self._every = every
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._sampler.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._sampler.join()

    def _sample(self) -> None:
        took = 0.0
        while not self._done.wait(max(self._every, RARE * took)):
            began = time.perf_counter()
            self.gib = max(self.gib, sum(map(_proportional, _tree())) / 2**30)
            took = time.perf_counter() - began


def cpu_seconds() -> float:
    """CPU time of this process and its children so far; unlike wall time it leaves out what others do here."""
    return sum(_cpu(process) for process in _tree())


def machine() -> dict:
    """What the figures were measured on."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load": round(os.getloadavg()[0], 1),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _tree() -> list[psutil.Process]:
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def _proportional(process: psutil.Process) -> int:
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it ended since the tree was listed
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _cpu(process: psutil.Process) -> float:
    try:
        used = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return used.user + used.system + used.children_user + used.children_system


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()
