"""How much of the front a search finds: hypervolume beside NSGA-II's with ten times the evaluations."""

import time
from dataclasses import dataclass
from functools import partial

import numpy as np
from moocore import hypervolume

from jobs.lists.genetic import genetic
from jobs.ranking.rerank import NEUTRAL
from jobs.ranking.search import Found, Problem, dual, grid
from jobs.ranking.trial import Trial

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


@dataclass(frozen=True)
class Covered:
    """What one search found.

    Args:
        evaluations: that it made.
        seconds: of this thread.
        covered: hypervolume from the worst to the best of each measure that any search met, as a share; on the week
            that was searched, and of the same policies on the week after.
    """

    evaluations: int
    seconds: float
    covered: dict[str, float]


def found(
    week: Trial, after: Trial, names: tuple[str, ...], measures: tuple[str, ...], quick: bool
) -> dict[str, Covered]:
    """By search, on the policies of ``names`` judged by ``measures``.

    Where the trials know no tastes, those that may move re-ranking are left out.
    """
    evaluations = 20 if quick else EVALUATIONS
    met: dict[str, tuple[Found, float]] = {}
    able = {title: each for title, each in SEARCHES.items() if week.tastes is not None or not each[2]}
    for title, (search, times, moved) in able.items():
        began, columns = time.thread_time(), (*names, *moved)
        problem = Problem(week, names, partial(values, week, columns, measures), moved)
        made = search(problem, evaluations * times)
        met[title] = made, time.thread_time() - began
    later = {
        title: values(after, (*names, *able[title][2]), measures, made.weights) for title, (made, _) in met.items()
    }
    searched = _covered({title: made.values for title, (made, _) in met.items()})
    unseen = _covered(later)
    return {
        title: Covered(len(made.weights), seconds, {"this week": searched[title], "the week after": unseen[title]})
        for title, (made, seconds) in met.items()
    }


def values(trial: Trial, names: tuple[str, ...], measures: tuple[str, ...], weights: np.ndarray) -> np.ndarray:
    """Means over the users, float64 [p, m]."""
    told = trial.outcomes(dict(zip(names, weights.T, strict=True)))
    return np.stack([told[name].mean(axis=1) for name in measures], axis=1)


def _covered(points: dict[str, np.ndarray]) -> dict[str, float]:
    everything = np.concatenate(list(points.values()))
    worst, best = everything.min(axis=0), everything.max(axis=0)
    return {
        title: float(hypervolume(-(each - worst) / (best - worst), ref=[0.0] * len(worst)))
        for title, each in points.items()
    }
