"""The night: a cold one on a fresh checkout (installs, training, lists) and the warm one after it, as make runs them.

Cold is `git clone` of the committed project and `make nightly` under a home directory without a cache; warm is the
next day's `make nightly` there. --quick runs both nights of a made-up shop of a few people in this checkout instead.
"""

import json
import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from benchmarks import Goal, PeakMemory, Result

PROJECT = Path(__file__).resolve().parents[1]
COLD_DAY, WARM_DAY = date(2017, 12, 30), date(2017, 12, 31)
COLD_GOAL, WARM_GOAL, PEAK_GOAL = 30 * 60, 8 * 60, 10.0

TASK = re.compile(r"^== (\S+)")
TABLE = re.compile(r"jobs\.runner \S+ (\S+): (\d+) rows in, (\d+) out, (\d+) rejected, ([\d.]+) s$")

MAPPING = """
[events]
files = "events.jsonl"
[events.columns]
ts = "at"
event_type = "what"
user_id = "who"
item_id = "sku"
quantity = "n"
amount = "paid"

[items]
files = "items.csv"
columns = { item_id = "sku", title = "name", category_path = ["aisle"], price = "price" }
"""


@dataclass
class Run:
    """One `make nightly`: seconds until the night began, of each task, and what the tables' lines say."""

    setup_s: float = 0.0
    tasks: dict[str, float] = field(default_factory=dict)
    tables: dict[str, dict] = field(default_factory=dict)
    wall_s: float = 0.0
    peak_gib: float = 0.0


def run(quick: bool) -> Result:
    with tempfile.TemporaryDirectory(prefix="night-") as place:
        cold, warm = _small(Path(place)) if quick else _whole(Path(place))
    peak = max(cold.peak_gib, warm.peak_gib)
    goals = {
        "cold night, s": Goal(COLD_GOAL, round(cold.wall_s)),
        "warm night, s": Goal(WARM_GOAL, round(warm.wall_s)),
        "peak memory, GiB": Goal(PEAK_GOAL, round(peak, 2)),
    }
    figures = {"cold": vars(cold), "warm": vars(warm)}
    return Result(goals, figures, _table(cold, warm))


def _whole(place: Path) -> tuple[Run, Run]:
    checkout, home = place / "nightly", place / "home"
    home.mkdir()
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(checkout)], check=True)
    kept = ("LANG", "LC_ALL", "TERM", "TMPDIR", "JAVA_HOME", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    env = {name: value for name, value in os.environ.items() if name in kept or name.lower().endswith("_proxy")}
    # without this project's own environment, which the person who starts a benchmark has on the path
    folders = [folder for folder in os.environ["PATH"].split(":") if not folder.startswith(str(PROJECT))]
    env |= {"HOME": str(home), "PATH": ":".join(folders)}
    return tuple(_night(["make", "nightly", f"DAY={day}"], checkout, env) for day in (COLD_DAY, WARM_DAY))


def _small(place: Path) -> tuple[Run, Run]:
    shop, first, days = place / "shop", date(2024, 5, 1), 30
    shop.mkdir()
    (shop / "mapping.toml").write_text(MAPPING, encoding="utf-8")
    items = ["sku,name,aisle,price", *(f"{n},thing number {n},aisle {n % 5},{1 + n / 10}" for n in range(50))]
    (shop / "items.csv").write_text("\n".join(items), encoding="utf-8")
    lines = [
        json.dumps(
            {
                "at": f"{first + timedelta(days=day)}T{8 + who % 12:02}:00:00Z",
                "what": "purchase",
                "who": f"w{who}",
                "sku": str((who * 7 + day * (1 + who % 3)) % 50),
                "n": 1,
                "paid": 1.5,
            }
        )
        for day in range(days)
        for who in range(40)
    ]
    (shop / "events.jsonl").write_text("\n".join(lines), encoding="utf-8")
    command = ["make", "nightly", "SOURCE=folder", f"DATA={shop}", f"STATE={place / 'state'}"]
    nights = [first + timedelta(days=days - 2), first + timedelta(days=days - 1)]
    return tuple(_night([*command, f"DAY={night}"], PROJECT, dict(os.environ)) for night in nights)


def _night(command: list[str], folder: Path, env: dict[str, str]) -> Run:
    """Runs a night and reads what it prints as it comes.

    Raises:
        RuntimeError: if it fails; the message ends with its last lines.
    """
    found, began, last = Run(), time.monotonic(), None
    with PeakMemory(every=1.0) as peak:
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        told = []
        for line in process.stdout:
            told.append(line)
            now = time.monotonic() - began
            if task := TASK.match(line):
                if last is None:
                    found.setup_s = round(now, 1)
                else:
                    found.tasks[last[0]] = round(now - last[1], 1)
                last = task[1], now
            elif table := TABLE.search(line):
                name, *counts, seconds = table.groups()
                counted = dict(zip(("rows_in", "rows_out", "rows_rejected"), map(int, counts), strict=True))
                found.tables[name] = {**counted, "seconds": float(seconds)}
        if process.wait():
            raise RuntimeError(f"{' '.join(command)} failed:\n{''.join(told[-30:])}")
    found.wall_s = round(time.monotonic() - began, 1)
    if last:
        found.tasks[last[0]] = round(found.wall_s - last[1], 1)
    found.peak_gib = round(peak.gib, 2)
    return found


def _table(cold: Run, warm: Run) -> list[list[str]]:
    lines = [["step", "cold s", "warm s", "cold rows", "warm rows"]]

    def line(title: str, *cells: object) -> None:
        lines.append([title, *("-" if cell is None else f"{cell:,}" for cell in cells)])

    line("setting up", cold.setup_s, warm.setup_s, None, None)
    for task in cold.tasks:
        line(f"task {task}", cold.tasks[task], warm.tasks.get(task), None, None)
    for table in cold.tables:
        both = [night.tables.get(table, {}) for night in (cold, warm)]
        line(f"  {table}", *(one.get("seconds") for one in both), *(one.get("rows_out") for one in both))
    line("whole night", cold.wall_s, warm.wall_s, None, None)
    line("peak memory, GiB", cold.peak_gib, warm.peak_gib, None, None)
    return lines
