"""Training anew every week, beside going on from the last model every week or every night: eight weeks of a shop.

It takes hours. Where all is committed, a run that was killed goes on after the last week that it ended.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from mlflow import MlflowClient

from benchmarks import Result, cpu_seconds
from benchmarks.accuracy import journey, ours, rolling
from benchmarks.accuracy.protocol import means, tops
from training import tracking
from training.data import load
from training.recipe import Recipe
from training.recipes import recipe

QUICK_WEEKS, QUICK_STEPS = 2, 2
PLACE = journey.PROJECT / "var/benchmarks/incremental"
ANEW = "anew every week"


@dataclass(frozen=True)
class Schedule:
    """When a model is trained after its first time, and how.

    Args:
        every: days between two trainings; 0 is never.
        warm: whether it goes on from the last.
    """

    every: int
    warm: bool


SCHEDULES = {
    ANEW: Schedule(7, warm=False),
    "warm every week": Schedule(7, warm=True),
    "warm every night": Schedule(1, warm=True),
    "never again": Schedule(0, warm=False),
}


def run(quick: bool) -> Result:
    """``quick`` takes two weeks and hardly trains: it shows that all schedules run, nothing else."""
    made = journey.prepare()
    data, weeks = journey.load(made), journey.days(QUICK_WEEKS if quick else journey.WEEKS)
    with _place(None if quick else _commit()) as place:
        shop = _Shop(data, place, made, quick)
        found = {name: shop.weeks(name, schedule, weeks) for name, schedule in SCHEDULES.items()}
    figures, leads = {}, {}
    for name, (values, seconds) in found.items():
        figures[name] = {
            protocol: {
                "weeks": means(rolling.joined([each[protocol][1] for each in values])),
                "by_week": [means(each[protocol][1]) for each in values],
            }
            for protocol in values[0]
        } | {"training_cpu_seconds": round(seconds)}
        for protocol in values[0]:
            users = np.concatenate([each[protocol][0] for each in values])
            apart = [
                mine[protocol][1]["ndcg_at_10"] - other[protocol][1]["ndcg_at_10"]
                for mine, other in zip(values, found[ANEW][0], strict=True)
            ]
            leads.setdefault(name, {})[protocol] = rolling.interval(np.concatenate(apart), users)
    return Result({}, {"schedules": figures, f"ndcg@10 less that of {ANEW}": leads}, _table(figures, leads))


def _commit() -> str | None:
    """The commit whose code this is; None where there is none, or something is not committed."""
    told = [
        subprocess.run(["git", *words], cwd=journey.PROJECT, capture_output=True, text=True)
        for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
    ]
    return None if any(each.returncode for each in told) or told[1].stdout else told[0].stdout.strip()


@contextmanager
def _place(commit: str | None) -> Iterator[Path]:
    """A folder that is gone afterwards; that of a commit only if all went well."""
    if commit is None:
        with tempfile.TemporaryDirectory(prefix="incremental-") as folder:
            yield Path(folder)
        return
    place = PLACE / commit
    place.mkdir(parents=True, exist_ok=True)
    yield place
    shutil.rmtree(place)


class _Shop:
    """Trains schedules on one lake, each with checkpoints and MLflow of its own."""

    def __init__(self, data: journey.Journey, place: Path, made: Path, quick: bool):
        self.data, self.place, self.quick, self.lake = data, place, quick, place / "lake"
        self.nights: set[date] = set()
        shutil.rmtree(self.lake, ignore_errors=True)  # of a run that was killed; its nights are written again
        (self.lake / "behaviour").mkdir(parents=True)
        os.symlink(made / "behaviour/exposures", self.lake / "behaviour/exposures")

    def weeks(self, name: str, schedule: Schedule, weeks: list[date]) -> tuple[list[dict], float]:
        """Values of each week by protocol, as ``rolling.protocols`` has them, and what all trainings took."""
        folder, spent, values, ended = self.place / name.replace(" ", "_"), 0.0, [], None
        for week in weeks:
            file = folder / f"{week}.npz"
            if file.exists():
                export, spent, reached = _kept(file)
                values.append(reached)
                ended = week
                continue
            _back_to(folder, ended)
            if week == weeks[0]:
                export, seconds = self._first(folder, week)
                spent += seconds
            elif schedule.every:
                for back in reversed(range(0, 7, schedule.every)):
                    export, seconds = self._train(folder, week - timedelta(days=back), schedule.warm)
                    spent += seconds
            values.append(self._values(export, week))
            _keep(file, export, spent, values[-1])
            _prune(folder, export)
            ended = week
            reached = values[-1]["all"][1]["ndcg_at_10"].mean()
            print(f"{name}, {week}: NDCG@10 {reached:.4f}", file=sys.stderr, flush=True)
        return values, spent

    def _values(self, export: Path, week: date) -> dict:
        """Of that model's lists, by what was known before the week."""
        split, night = self.data.week(week), load(str(self._lake_of(week)), week)
        return rolling.protocols(tops(ours.scores(export, night, self.data.catalogue, split), split), split)

    def _first(self, folder: Path, day: date) -> tuple[Path, float]:
        """All schedules begin with one model, trained once."""
        first, told = self.place / "first", self.place / "first.json"
        if not told.exists():
            shutil.rmtree(first, ignore_errors=True)
            export, seconds = self._train(first, day, warm=False)
            told.write_text(json.dumps([str(export), seconds]))
        export, seconds = json.loads(told.read_text())
        folder.mkdir()
        shutil.copy(first / "mlflow.db", folder / "mlflow.db")
        if (first / "checkpoints/encodings").exists():
            shutil.copytree(first / "checkpoints/encodings", folder / "checkpoints/encodings")
        return Path(export), seconds

    def _train(self, folder: Path, day: date, warm: bool) -> tuple[Path, float]:
        """The export of that night's model, which is the champion from now on; and the processor's seconds it took."""
        lake, began = self._lake_of(day), cpu_seconds()
        export = ours.train(folder, lake, day, self._recipe(warm))
        seconds = cpu_seconds() - began
        client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
        newest = max(client.search_model_versions(f"name = '{tracking.MODEL}'"), key=lambda each: int(each.version))
        client.set_registered_model_alias(tracking.MODEL, tracking.CHAMPION, newest.version)
        return export, seconds

    def _recipe(self, warm: bool) -> Recipe:
        chosen = recipe("cpu_warm" if warm else "cpu")
        if not self.quick:
            return chosen
        return replace(chosen, steps=QUICK_STEPS, warm_steps=QUICK_STEPS, repeats_steps=QUICK_STEPS)

    def _lake_of(self, day: date) -> Path:
        """The lake, with that night's tables."""
        if day not in self.nights:
            ours.write_lake(self.lake, day, self.data.users, self.data.upto(day), self.data.catalogue)
            self.nights.add(day)
        return self.lake


def _keep(file: Path, export: Path, spent: float, values: dict) -> None:
    """What a schedule has at the end of a week: values, seconds, its model and where MLflow stood."""
    shutil.copy(file.parent / "mlflow.db", file.with_suffix(".db"))
    told = {
        f"{protocol}/{name}": each
        for protocol, (users, metrics) in values.items()
        for name, each in {"users": users, **metrics}.items()
    }
    np.savez(file, export=str(export), spent=spent, **told)


def _kept(file: Path) -> tuple[Path, float, dict]:
    values: dict[str, tuple[np.ndarray, dict]] = {}
    with np.load(file) as told:
        for key in (key for key in told.files if "/" in key):
            protocol, name = key.split("/")
            _, metrics = values.setdefault(protocol, (told[f"{protocol}/users"], {}))
            if name != "users":
                metrics[name] = told[key]
        return Path(str(told["export"])), float(told["spent"]), values


def _prune(folder: Path, export: Path) -> None:
    """Leaves of what was trained the newest model alone: a night's checkpoints and artifacts take more than 1 GB."""
    for day in (folder / "checkpoints").glob("cpu*/*"):
        if day not in export.parents:
            shutil.rmtree(day)
    runs = sorted((folder / "var/mlartifacts").glob("*"), key=lambda run: (run.stat().st_mtime_ns, run.name))
    for run in runs[:-1]:
        shutil.rmtree(run)


def _back_to(folder: Path, week: date | None) -> None:
    """Undoes what a run that was killed did after the week, None for before the first."""
    if week is None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    shutil.copy(folder / f"{week}.db", folder / "mlflow.db")
    for day in (folder / "checkpoints").glob("cpu*/*"):
        if day.name > str(week):
            shutil.rmtree(day)


def _table(figures: dict, leads: dict) -> list[list[str]]:
    rows = [["schedule, protocol", "ndcg@10", "recall@10", "first week", "last week", "less anew's", "training CPU s"]]
    for name, found in figures.items():
        for protocol, (low, high) in leads[name].items():
            mine = found[protocol]
            rows.append(
                [
                    f"{name}, {protocol}",
                    *(f"{mine['weeks'][metric]:.4f}" for metric in ("ndcg@10", "recall@10")),
                    *(f"{mine['by_week'][week]['ndcg@10']:.4f}" for week in (0, -1)),
                    f"{low:+.4f} to {high:+.4f}",
                    str(found["training_cpu_seconds"]),
                ]
            )
    return rows
