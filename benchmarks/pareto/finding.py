"""How much of the front a search finds: hypervolume beside NSGA-II's with ten times the evaluations."""

import time
from dataclasses import dataclass
from functools import partial

import numpy as np
from moocore import hypervolume

from jobs.lists.genetic import genetic
from jobs.ranking.pareto import normalised, varying
from jobs.ranking.rerank import NEUTRAL
from jobs.ranking.search import Found, Problem, dual, grid
from jobs.ranking.trial import Trial
from schemas.objectives import TERMS

EVALUATIONS, MORE = 200, 10  # ours and the grid's, and how many times as many the genetic search has
PARAMETERS = tuple(NEUTRAL)
SEARCHES = {  # how, with how many times the evaluations, and which parameters of re-ranking it may move
    "dual (ours)": (dual, 1, ()),
    "grid": (grid, 1, ()),
    "NSGA-II": (genetic, 1, ()),
    "NSGA-II, ten times": (genetic, MORE, ()),
    "dual, re-ranking too": (dual, 1, PARAMETERS),
    "NSGA-II, re-ranking too": (genetic, 1, PARAMETERS),
}
PEER = "NSGA-II, ten times"
OURS = "dual (ours)"
WEEK, AFTER, CHOOSABLE = "this week", "the week after", "that may be chosen"


@dataclass(frozen=True)
class Covered:
    """What one search found.

    Args:
        evaluations: that it made.
        seconds: of this thread.
        covered: hypervolume from the worst to the best of each measure that any search met, as a share; on the week
            that was searched, of the same policies on the week after, and on the week that was searched of those that
            keep to the floor of the first measure, from there.
    """

    evaluations: int
    seconds: float
    covered: dict[str, float]


def found(
    week: Trial, after: Trial, names: tuple[str, ...], measures: tuple[str, ...], quick: bool, few: bool = False
) -> dict[str, Covered]:
    """By search, on the policies of ``names`` judged by ``measures``, the first of which has the floor of the night.

    Where the trials know no tastes, and of ``few``, those that may move re-ranking are left out.
    """
    evaluations = 20 if quick else EVALUATIONS
    met: dict[str, tuple[Found, float]] = {}
    able = {title: each for title, each in SEARCHES.items() if not each[2] or not (few or week.tastes is None)}
    for title, (search, times, moved) in able.items():
        began, columns = time.thread_time(), (*names, *moved)
        problem = Problem(week, names, partial(values, week, columns, measures), moved, TERMS.floor)
        made = search(problem, evaluations * times)
        met[title] = made, time.thread_time() - began
    later = {
        title: values(after, (*names, *able[title][2]), measures, made.weights) for title, (made, _) in met.items()
    }
    searched = {title: made.values for title, (made, _) in met.items()}
    covered = {WEEK: _covered(searched), AFTER: _covered(later), CHOOSABLE: _covered(_choosable(searched))}
    return {
        title: Covered(len(made.weights), seconds, {when: told[title] for when, told in covered.items()})
        for title, (made, seconds) in met.items()
    }


def values(trial: Trial, names: tuple[str, ...], measures: tuple[str, ...], weights: np.ndarray) -> np.ndarray:
    """Means over the users, float64 [p, m]."""
    told = trial.outcomes(dict(zip(names, weights.T, strict=True)))
    return np.stack([told[name].mean(axis=1) for name in measures], axis=1)


def _choosable(points: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those that keep to the floor, beside the best of all searches; of the first measure, what they have above it."""
    floor = TERMS.floor * max(each[:, 0].max() for each in points.values())
    above = {title: each[each[:, 0] >= floor] for title, each in points.items()}
    return {title: np.column_stack([each[:, 0] - floor, each[:, 1:]]) for title, each in above.items()}


def _covered(points: dict[str, np.ndarray]) -> dict[str, float]:
    everything = varying(np.concatenate(list(points.values())))
    cuts = np.cumsum([len(each) for each in points.values()])[:-1]
    points = dict(zip(points, np.split(everything, cuts), strict=True))
    worst, best = everything.min(axis=0), everything.max(axis=0)
    return {
        title: float(hypervolume(-normalised(each, worst, best), ref=[0.0] * len(worst))) if len(each) else 0.0
        for title, each in points.items()
    }
