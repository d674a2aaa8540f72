"""Complete Journey: our model, trained anew for each week as a shop would, beside its peers.

The neural peers, which take as long as we do, take part in the last week alone.
"""

import os
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

from benchmarks.accuracy import journey, ours
from benchmarks.accuracy.contenders import NEURAL, Contender, measured, neighbours, published
from benchmarks.accuracy.journey import Journey
from benchmarks.accuracy.protocol import CUTOFFS, Lists, Split, means, tops
from training.data import load
from training.metrics import accuracy
from training.recipe import Recipe
from training.recipes import recipe

HALF_LIVES = (np.inf, 60.0)  # of top-frequency
OF_LATE = (2.0, 7.0)  # of popularity: offers change by the week
QUICK_STEPS, QUICK_SECONDS = 4, 20
DRAWS = 2000  # bootstrap samples
OURS = "ours"
COMPARED = ("ndcg@10", "recall@10")

Values = dict[str, np.ndarray]  # float64[user-weeks] by metric


def compare(data: Journey, lake: Path, quick: bool) -> tuple[dict, dict]:
    """Figures by model, protocol and "weeks" or "last week"; and our lead over the best peer of all weeks, by protocol
    and metric.
    """
    days = journey.days(1 if quick else journey.WEEKS)
    found: dict[str, dict[str, list[Values]]] = {}
    asked: dict[str, list[np.ndarray]] = {}
    costs: dict[str, list[dict]] = {}
    with tempfile.TemporaryDirectory(prefix="accuracy-") as folder:
        for day in days:
            split, work = data.week(day), Path(folder) / day.isoformat()
            made = {OURS: measured(f"{OURS}, {day}", _ours(data, lake, day, work, quick), split)}
            spent, neural = QUICK_SECONDS if quick else made[OURS][1]["seconds"], NEURAL if day == days[-1] else ()
            for name, contender in (neighbours(HALF_LIVES, OF_LATE) | published(work, spent, neural)).items():
                made[name] = measured(f"{name}, {day}", contender, split)
            for name, (lists, cost) in made.items():
                costs.setdefault(name, []).append(cost)
                for protocol, (users, values) in protocols(lists, split).items():
                    found.setdefault(name, {}).setdefault(protocol, []).append(values)
                    if name == OURS:
                        asked.setdefault(protocol, []).append(users)
    pooled = {
        name: {protocol: joined(each) for protocol, each in mine.items()}
        for name, mine in found.items()
        if len(costs[name]) == len(days)
    }
    figures = {
        name: {
            protocol: ({"weeks": means(pooled[name][protocol]) | _cost(costs[name])} if name in pooled else {})
            | {"last week": means(each[-1]) | costs[name][-1]}
            for protocol, each in mine.items()
        }
        for name, mine in found.items()
    }
    users = {protocol: np.concatenate(each) for protocol, each in asked.items()}
    return figures, {protocol: _leads(pooled, protocol, users[protocol]) for protocol in users}


def protocols(lists: Lists, split: Split) -> dict[str, tuple[np.ndarray, Values]]:
    """Users and their values: of "all", of those with "few" baskets, and of items "new" to the user."""
    values = accuracy(lists["unmasked"], split.relevant, CUTOFFS)
    few = journey.few_baskets(split)
    new, kept = journey.new_to_the_user(split)
    return {
        "all": (split.users, values),
        "new": (new.users, accuracy(lists["masked"][kept], new.relevant, CUTOFFS)),
        "few": (split.users[few], {name: each[few] for name, each in values.items()}),
    }


def interval(difference: np.ndarray, users: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of the mean, users drawn with all their weeks: one household's weeks are alike."""
    names, place = np.unique(users, return_inverse=True)
    totals, weeks = np.bincount(place, difference), np.bincount(place)
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)
    lower, upper = np.quantile(drawn @ totals / np.maximum(drawn @ weeks, 1), [0.025, 0.975])
    return float(lower), float(upper)


def _ours(data: Journey, lake: Path, day: date, work: Path, quick: bool) -> Contender:
    chosen = recipe("cpu")
    if quick:
        chosen = replace(chosen, steps=QUICK_STEPS, repeats_steps=QUICK_STEPS, checkpoint_every=QUICK_STEPS)
    return lambda split: train(data, lake, day, work, chosen, split)


def train(data: Journey, lake: Path, day: date, folder: Path, chosen: Recipe, split: Split) -> Lists:
    """Lists of our model, trained in ``folder`` as the night ``day`` trains it.

    Args:
        folder: whose neighbours are the other days: what the language model says of a text is kept beside them.
        lake: with the tables that are the same on all days.
    """
    shop, kept = folder / "lake", folder.parent / "encodings"
    kept.mkdir(exist_ok=True)
    (folder / "checkpoints").mkdir(parents=True)
    os.symlink(kept, folder / "checkpoints/encodings")
    ours.write_lake(shop, day, data.users, data.upto(day), data.catalogue)
    # what was promoted is a table of the night's; training reads of it what came before its cut
    os.symlink(lake / "behaviour/exposures", shop / "behaviour/exposures")
    if chosen.pretraining:
        os.symlink(lake / "catalogue/texts", shop / "catalogue/texts")
    export = ours.train(folder, shop, day, chosen)
    return tops(ours.scores(export, load(str(shop), day), data.catalogue, split), split)


def joined(each: list[Values]) -> Values:
    return {name: np.concatenate([values[name] for values in each]) for name in each[0]}


def _cost(each: list[dict]) -> dict:
    return {
        "seconds": round(sum(cost["seconds"] for cost in each), 1),
        "peak_gib": max(cost["peak_gib"] for cost in each),
    }


def _leads(pooled: dict[str, dict[str, Values]], protocol: str, users: np.ndarray) -> dict:
    leads = {}
    for metric in COMPARED:
        values = {name: mine[protocol][metric.replace("@", "_at_")] for name, mine in pooled.items()}
        best = max((name for name in values if name != OURS), key=lambda name: values[name].mean())
        lower, upper = interval(values[OURS] - values[best], users)
        leads[metric] = {
            "peer": best,
            "ratio": float(values[OURS].mean() / max(values[best].mean(), 1e-9)),
            "lower": lower,
            "upper": upper,
            "user_weeks": len(users),
        }
    return leads
