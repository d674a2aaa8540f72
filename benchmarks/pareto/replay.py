"""Weeks replayed: weights found anew each week by the night's own code, beside frozen ones and one point for all."""

from dataclasses import replace

import numpy as np

from benchmarks.accuracy.rolling import interval
from benchmarks.pareto.weeks import Week, joined
from jobs.lists.audiences import EVERYBODY
from jobs.lists.bargains import settled
from jobs.lists.held import scales_of
from jobs.ranking.search import Problem, dual
from jobs.ranking.tried import Tried, distance
from schemas.objectives import TERMS, Terms

WEEKS = 4  # of trials that a night reads
NIGHTS = 7  # of a week, each of which may move the weights by a step
MEASURES = ("ndcg", "revenue", "novelty", "fairness", "diversity")
REFITTED, FROZEN, GLOBAL = "refitted, by audience", "frozen after the first week", "refitted, one point for all"


def replayed(weeks: list[Week], quick: bool) -> tuple[dict, list[str]]:
    """Means and paired intervals of refitted weights less others; and what guard rails should have said and didn't.

    Each week's lists have the weights that the weeks before it chose, which may move as far as in seven nights.
    """
    terms = replace(TERMS, step=min(NIGHTS * TERMS.step, 1.0))
    terms = replace(terms, evaluations=30) if quick else terms
    outcomes: dict[str, list[np.ndarray]] = {REFITTED: [], FROZEN: [], GLOBAL: []}
    users, silent, since, first = [], [], {}, None
    for place in range(1, len(weeks)):
        known, week = joined(weeks[max(place - WEEKS, 0) : place]), weeks[place]
        scales = scales_of(known.values, known.length)
        tried = Tried(known.trial(scales), (*scales, "diversity"), MEASURES, _counts(weeks, place, terms), terms.prior)
        dual(Problem(tried.trial, tried.names, tried.evaluate, (), terms.floor), terms.evaluations)
        members = {EVERYBODY: np.ones(len(known.users), bool)}
        members |= {name: known.audience == name for name in np.unique(known.audience)}
        points = settled(tried, members, since, terms)
        silent += _silent(week, points, since, tried.names, terms)
        chosen = {name: each.policy for name, each in points.items()}
        first = first or (chosen, scales)
        everybody = dict.fromkeys(chosen, chosen[EVERYBODY])
        for title, (weights, units) in {
            REFITTED: (chosen, scales), FROZEN: first, GLOBAL: (everybody, scales)
        }.items():  # fmt: skip
            outcomes[title].append(_had(week, weights, units, tried.names))
        users.append(week.users)
        since = {name: dict(zip(tried.names, each.tolist(), strict=True)) for name, each in chosen.items()}
    return _told({name: np.concatenate(each) for name, each in outcomes.items()}, np.concatenate(users)), silent


def _counts(weeks: list[Week], place: int, terms: Terms) -> np.ndarray:
    """float64 [user-weeks]: how much each counts in the night after week ``place - 1``."""
    before = weeks[max(place - WEEKS, 0) : place]
    ages = [(weeks[place - 1].day - week.day).days for week in before]
    sizes = [len(week.users) for week in before]
    return np.repeat([0.5 ** (age / terms.half_life) for age in ages], sizes)


def _had(week: Week, weights: dict, scales: dict, names: tuple[str, ...]) -> np.ndarray:
    """float64 [n, m]: what each user's list, by the weights of their audience, had."""
    told = np.zeros((len(week.users), len(MEASURES)))
    for audience in np.unique(week.audience):
        mine = np.flatnonzero(week.audience == audience)
        policy = weights.get(audience, weights[EVERYBODY])
        had = week.trial(scales, mine).outcomes(dict(zip(names, policy[:, None], strict=True)))
        told[mine] = np.stack([had[name][0] for name in MEASURES], axis=1)
    return told


def _silent(week: Week, points: dict, since: dict, names: tuple[str, ...], terms: Terms) -> list[str]:
    """Weights that moved further than the step, or keep less than the floor, without a rail that says so."""
    found = []
    for audience, each in points.items():
        last = since.get(audience)
        far = last and distance(np.array([last[name] for name in names]), each.policy) > terms.step + 1e-9
        low = each.measures[0] < terms.floor * each.values[:, 0].max() - 1e-9
        if (far and each.rail != "floor") or (low and each.rail not in ("back", "floor")):
            found.append(f"{week.day}, {audience}: rail {each.rail}")
    return found


def _told(outcomes: dict[str, np.ndarray], users: np.ndarray) -> dict:
    told: dict[str, dict] = {}
    for title, had in outcomes.items():
        means = dict(zip(MEASURES, had.mean(axis=0).tolist(), strict=True))
        less = {
            name: interval((outcomes[REFITTED] - had)[:, place] / had[:, place].mean(), users)
            for place, name in enumerate(MEASURES)
        }
        told[title] = {"means": means, "refitted less this, as a share of it": less}
    return told
