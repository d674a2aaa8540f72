"""All parts: a model is trained on all but the last eight weeks of the Complete Journey, and one on Beauty."""

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import Goal, Result
from benchmarks.accuracy import AMAZON, amazon, journey, ours
from benchmarks.pareto import PARTS, beauty, exact, finding, gains, replay, speed, weeks
from benchmarks.pareto.weeks import Week
from training.recipes import recipe

PLACE = journey.PROJECT / "var/benchmarks/pareto"
QUICK_WEEKS, QUICK_USERS, QUICK_STEPS = 3, 60, 2
NAMES = ("relevance", "satisfaction", "expected_revenue", "diversity")
MEASURES = ("ndcg", "revenue", "diversity")
EVERY_NAME = ("relevance", "satisfaction", "expected_revenue", "novelty", "fairness", "diversity")
EVERY_MEASURE = ("ndcg", "revenue", "novelty", "fairness", "diversity")
JOURNEY, EVERY = "Complete Journey", "Complete Journey, every objective"


def run(quick: bool, part: str | None) -> Result:
    """See :mod:`benchmarks.pareto`. Journey's model is kept until training's code changes."""
    parts = dict(zip(PARTS, (_journey, _beauty, speed.run), strict=True))
    whole = Result({}, {}, [])
    for name in [part] if part else PARTS:
        made = parts[name](quick)
        whole.goals.update(made.goals)
        whole.figures.update(made.figures)
        whole.table.extend(made.table)
    return whole


def _journey(quick: bool) -> Result:
    with tempfile.TemporaryDirectory(prefix="pareto-") as folder, threadpool_limits(1):
        told = _weeks(Path(folder), quick)
        _say("weeks are made")
        found = {
            JOURNEY: _found(told, NAMES, MEASURES, quick),
            EVERY: _found(told, EVERY_NAME, EVERY_MEASURE, quick, few=True),
        }
    _say("fronts are found")
    shares = _shares(told[0], exact.QUICK_USERS if quick else exact.USERS)
    _say("exact optima are found")
    with threadpool_limits(1):
        bought = {name: gains.bought(told, ways, name) for name, ways in
                  (("revenue", gains.REVENUE), ("diversity", gains.DIVERSITY))}  # fmt: skip
        _say("gains are measured")
        replayed, silent = replay.replayed(told, quick)
        _say("weeks are replayed")
    figures = {
        **{title: {name: vars(each) for name, each in searches.items()} for title, searches in found.items()},
        "share of the exact gain": shares,
        "bought": bought,
        "replayed": replayed,
        "guard rails that were silent": silent,
    }
    goals, table = _goals(shares, bought, silent), _table(shares, bought, replayed)
    for title, searches in reversed(found.items()):
        goals, table = _found_goals(title, searches) | goals, _found_table(title, searches) + table
    return Result(goals, figures, table)


def _beauty(quick: bool) -> Result:
    with tempfile.TemporaryDirectory(prefix="pareto-") as folder, threadpool_limits(1):
        dataset = amazon.load(AMAZON, "beauty")
        both = beauty.halves(dataset.first(1500) if quick else dataset, Path(folder), quick)
        found = finding.found(*both, ("relevance", "novelty", "diversity"), beauty.MEASURES, quick)
    figures = {"Beauty": {name: vars(each) for name, each in found.items()}}
    return Result(_found_goals("Beauty", found), figures, _found_table("Beauty", found))


def _weeks(folder: Path, quick: bool) -> list[Week]:
    """The held-out weeks, by a model that was trained before the first of them."""
    made = journey.prepare()
    data, days = journey.load(made), journey.days()[: QUICK_WEEKS if quick else journey.WEEKS]
    lake = folder / "lake"
    (lake / "behaviour").mkdir(parents=True)
    os.symlink(made / "behaviour/exposures", lake / "behaviour/exposures")
    export = _export(data, lake, folder / "model" if quick else PLACE / _commit(), days[0], quick)
    kept = slice(QUICK_USERS if quick else None)
    return [weeks.of(data, lake, export, day, kept) for day in days]


def _export(data: journey.Journey, lake: Path, place: Path, day, quick: bool) -> Path:
    chosen = recipe("cpu")
    if quick:
        chosen = replace(chosen, steps=QUICK_STEPS, repeats_steps=QUICK_STEPS)
    export = place / "checkpoints" / chosen.name / day.isoformat() / "finetune/model/export"
    if not export.exists():
        shop = place / "lake"
        (shop / "behaviour").mkdir(parents=True, exist_ok=True)
        if not (shop / "behaviour/exposures").exists():
            os.symlink(lake / "behaviour/exposures", shop / "behaviour/exposures")
        if not (shop / "catalogue").exists():
            ours.write_lake(shop, day, data.users, data.upto(day), data.catalogue)
        ours.train(place, shop, day, chosen)
    return export


def _commit() -> str:
    """Of the training's code: a model of other code is trained anew."""
    command = ["git", "log", "-1", "--format=%H", "--", "training", "schemas"]
    told = subprocess.run(command, cwd=journey.PROJECT, capture_output=True, text=True)
    return told.stdout.strip() or "no-commit"


def _found(
    told: list[Week], names: tuple[str, ...], measures: tuple[str, ...], quick: bool, few: bool = False
) -> dict[str, finding.Covered]:
    scales = told[0].scales()
    trials = [week.trial({name: scales[name] for name in names[:-1]}) for week in told[:2]]
    return finding.found(*trials, names, measures, quick, few)


def _shares(week: Week, users: int) -> dict[str, float]:
    some = np.random.default_rng(0).permutation(len(week.users))[:users]
    scales = week.scales()
    gain, value = (scales[name].scaled(week.values[name])[some] for name in ("expected_revenue", "relevance"))
    return exact.shares(gain, value, week.length)


def _found_goals(data: str, found: dict[str, finding.Covered]) -> dict[str, Goal]:
    one, many = found[finding.OURS], found[finding.PEER]
    title = f"{data}: hypervolume over that of NSGA-II with ten times the evaluations"
    goals = {
        f"{title}, {when}": Goal(0.99, covered / many.covered[when], least=True)
        for when, covered in one.covered.items()
    }
    return goals | {f"{data}: its time over that": Goal(0.1, one.seconds / many.seconds)}


def _goals(shares: dict, bought: dict, silent: list[str]) -> dict[str, Goal]:
    goals = {"share of the exact gain": Goal(0.99, shares["ours"], least=True)}
    for loss, mine in bought["revenue"]["ours"].items():
        other = max(each[loss]["gain"] for title, each in bought["revenue"].items() if not title.startswith("ours"))
        goals[f"revenue gained for {loss}, over the best heuristic's"] = Goal(1.0, mine["gain"] / other, least=True)
    return goals | {"guard rails that were silent": Goal(0, len(silent))}


def _found_table(data: str, found: dict[str, finding.Covered]) -> list[list[str]]:
    rows = [["search", "evaluations", "s", *(f"hypervolume, {when}" for when in found[finding.OURS].covered)]]
    for name, each in found.items():
        covered = [f"{value:.4f}" for value in each.covered.values()]
        rows.append([f"{data}, {name}", str(each.evaluations), f"{each.seconds:.1f}", *covered])
    return rows


def _table(shares: dict, bought: dict, replayed: dict) -> list[list[str]]:
    rows = [["share of the exact gain", "", "", "", ""]]
    rows += [[name, f"{value:.4f}", "", "", ""] for name, value in shares.items()]
    rows.append(["bought", "NDCG", "gain", "95 %", ""])
    for measure, ways in bought.items():
        for way, losses in ways.items():
            for loss, had in losses.items():
                low, high = had["gain_interval"]
                title = f"{measure} for {loss}, {way}"
                rows.append([title, f"{had['ndcg']:+.2%}", f"{had['gain']:+.2%}", f"{low:+.2%} to {high:+.2%}", ""])
    rows.append(["replayed", "ndcg", "revenue", "diversity", "refitted less this: ndcg, revenue, diversity"])
    for title, told in replayed.items():
        means, less = told["means"], told["refitted less this, as a share of it"]
        apart = "; ".join(f"{less[name][0]:+.2%} to {less[name][1]:+.2%}" for name in MEASURES)
        rows.append([title, *(f"{means[name]:.4f}" for name in MEASURES), apart])
    return rows


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
