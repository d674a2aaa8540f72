"""Three ways to find the policies of a front, behind one interface; the genetic one is in :mod:`jobs.lists.genetic`.

A policy is a row of weights, one an objective and one for diversity, which sum to 1, and behind them the parameters of
:mod:`jobs.ranking.rerank` that the search may move; all others are neutral.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jobs.ranking.lagrange import constrained
from jobs.ranking.pareto import nondominated
from jobs.ranking.promising import promising
from jobs.ranking.rerank import few, neutral
from jobs.ranking.trial import Trial
from jobs.ranking.values import SHOPPER

DIVERSITY = "diversity"
MIXES = np.linspace(0, 1, 5)  # of these two
LOSSES = (0.0005, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.9)  # of what the shopper has to give up
STRENGTHS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 25.0)  # of diversity, beside all other weights as 1
LADDER = 0.3  # of all evaluations: so many go to multipliers, the others to what then looks promising
CHOOSABLE = 0.3  # of what then looks promising: so much goes to policies that may be chosen
PROBES = 0.2  # of all evaluations: so many show what each parameter does, where any may move
TOGETHER = 50  # policies tried at once: more are cheaper each, and fewer learn more from those before
DUAL_USERS = 200  # whose lists decide the multipliers
NEAR = 0.01  # of a multiplier: the lists of these users tell no more of all
SEED = 17


class Problem(NamedTuple):
    """What a search may ask.

    Args:
        trial: the users and candidates.
        names: of the weights: the trial's objectives, then diversity.
        evaluate: policies float64 [p, o + s] to values float64 [p, m], higher is better; the first measure is the
            shopper's.
        parameters: names of the s parameters that the search may move.
        floor: share of the best of the first measure below which no policy may be chosen; 0 for none.
    """

    trial: Trial
    names: tuple[str, ...]
    evaluate: Callable[[np.ndarray], np.ndarray]
    parameters: tuple[str, ...] = ()
    floor: float = 0.0


class Found(NamedTuple):
    """Policies float64 [p, o + s], and their values float64 [p, m]."""

    weights: np.ndarray
    values: np.ndarray


def grid(problem: Problem, evaluations: int) -> Found:
    """Weighted sums in even steps (Das and Dennis 1998), each in a few settings of the parameters.

    The finest lattice that the number allows.
    """
    settings, steps = few(problem.parameters), 1
    while _lattice_size(len(problem.names), steps + 1) * len(settings) <= evaluations:
        steps += 1
    weights = np.array(list(_lattice(len(problem.names), steps)), np.float64) / steps
    policies = np.concatenate([_with(weights, each) for each in settings])[:evaluations]
    return Found(policies, problem.evaluate(policies))


def dual(problem: Problem, evaluations: int) -> Found:
    """Policies that give the most of the other objectives for what the shopper gives up, by Lagrange multipliers.

    First the mix of the shopper's objectives whose lists do best. Then, for each other objective, for all of these
    together, and each of :data:`LOSSES`, :func:`jobs.ranking.lagrange.constrained` says what a unit of the shopper's is
    worth there; that is the policy. A loss is a share of what lists for the others alone would take, so that all of
    them are met; these lists are the last policy. Each of these with each of :data:`STRENGTHS` of diversity; of both
    every second, third and so on where that would be too many evaluations. Then each objective alone: where the front
    ends. Of the front so far, :data:`PROBES` have parameters moved. What is left of the evaluations goes to what
    :func:`jobs.ranking.promising.promising` foresees; where there is a floor, :data:`CHOOSABLE` of it to what widens
    the front above it, which is little of the space that many measures span.
    """
    names, ladder, same = problem.names, int(LADDER * evaluations), neutral(problem.parameters)
    mixes = _with(_mixes(names), same)
    values = problem.evaluate(mixes)
    shopper = mixes[int(values[:, 0].argmax()), : len(names)]
    others = [place for place, name in enumerate(names) if name not in (*SHOPPER, DIVERSITY)]
    choices = [np.array([each]) for each in others] + ([np.array(others)] if len(others) > 1 else [])
    every = 1
    while every < len(STRENGTHS) and _rays(choices, every) * len(STRENGTHS[::every]) > ladder:
        every += 1
    rays = [np.zeros(len(names))]
    for together in choices:
        rays += _multiplied(problem.trial, names, shopper, together, LOSSES[::every])
    alone = [np.isin(np.arange(len(names)), together) for together in choices]
    plain = np.array([_normal(each) for each in (*(shopper + ray for ray in rays), *alone)])
    diverse = np.eye(len(names))[names.index(DIVERSITY)]
    mixed = [(plain + each * diverse) / (1 + each) for each in STRENGTHS[::every]]
    tried = _with(np.unique(np.concatenate([*mixed, np.eye(len(names))]), axis=0), same)
    tried = tried[(tried[:, None] != mixes).any(axis=2).all(axis=1)][: evaluations - len(mixes)]
    found = _more(problem, Found(mixes, values), tried)
    random = np.random.default_rng(SEED)
    probes = min(int(PROBES * evaluations), evaluations - len(found.weights))
    if problem.parameters and probes > 0:
        found = _more(problem, found, _probes(problem, found, probes, random))
    while (left := evaluations - len(found.weights)) > 0:
        new = _promising(problem, found, -(-left // max(round(left / TOGETHER), 1)), random)
        if not len(new):
            break
        found = _more(problem, found, new)
    return found


def _promising(problem: Problem, found: Found, count: int, random: np.random.Generator) -> np.ndarray:
    """At most ``count`` policies: where there is a floor, :data:`CHOOSABLE` of them for the front above it."""
    least = problem.floor * found.values[:, 0].max()
    above = int(CHOOSABLE * count) if problem.floor > 0 else 0
    new = promising(*found, count - above, random, problem.parameters)
    if not above:
        return new
    more = promising(*found, above, random, problem.parameters, least)
    return np.unique(np.concatenate([new, more]), axis=0)


def _more(problem: Problem, found: Found, new: np.ndarray) -> Found:
    return Found(np.concatenate([found.weights, new]), np.concatenate([found.values, problem.evaluate(new)]))


def _with(weights: np.ndarray, setting: np.ndarray) -> np.ndarray:
    """float64 [p, o + s]: the same parameters behind each row of weights."""
    return np.concatenate([weights, np.broadcast_to(setting, (len(weights), len(setting)))], axis=1)


def _probes(problem: Problem, found: Found, count: int, random: np.random.Generator) -> np.ndarray:
    """Policies of the front, each in one of the few settings that aren't neutral, in turn."""
    front = np.flatnonzero(nondominated(found.values))
    settings = few(problem.parameters)[1:]
    rows = found.weights[random.permutation(np.resize(front, count)), : len(problem.names)]
    return np.concatenate([rows, settings[np.arange(count) % len(settings)]], axis=1)


def _rays(choices: Sequence[np.ndarray], every: int) -> int:
    return 1 + len(choices) * (len(LOSSES[::every]) + 1)


def _mixes(names: Sequence[str]) -> np.ndarray:
    """float64 [p, o]: between the shopper's objectives, of those that there are."""
    own = [place for place, name in enumerate(names) if name in SHOPPER]
    if not own:
        raise ValueError(f"weights are for {', '.join(names)}: none says what the shopper wants")
    rows = np.zeros((len(MIXES) if len(own) > 1 else 1, len(names)))
    rows[:, own[0]] = 1 - (MIXES if len(own) > 1 else 0)
    if len(own) > 1:
        rows[:, own[1]] = MIXES
    return rows


def _multiplied(
    trial: Trial, names: Sequence[str], shopper: np.ndarray, others: np.ndarray, losses: Sequence[float]
) -> list[np.ndarray]:
    """What to add to the shopper's weights for these others, once for each of the losses that leaves them any gain.

    A loss is a share of what the lists that are best for the others take from the shopper.
    """
    few = slice(None, None, max(len(trial) // DUAL_USERS, 1))
    off = trial.positions[few] < 0

    def mixed(weights: np.ndarray, places: Sequence[int]) -> np.ndarray:
        return sum(weights[place] * trial.values[names[place]][few] for place in places)

    wanted = mixed(shopper, [names.index(name) for name in names if name in SHOPPER])
    ray = np.zeros(len(names))
    ray[others] = 1 / len(others)
    gain = np.where(off, -np.inf, mixed(ray, others))
    best = -np.sort(-np.where(off, 0.0, wanted), axis=1)[:, : trial.length].sum()
    value = np.where(off, 0.0, wanted)
    spare = best - constrained(gain, value, trial.length, 0.0).value  # no value is negative
    found = [constrained(gain, value, trial.length, best - loss * spare, close=NEAR).multiplier for loss in losses]
    return [ray / multiplier for multiplier in found if multiplier > 0]


def _normal(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum()


def _lattice_size(parts: int, steps: int) -> int:
    size = 1
    for each in range(1, parts):
        size = size * (steps + each) // each
    return size


def _lattice(parts: int, steps: int) -> Iterator[tuple[int, ...]]:
    if parts == 1:
        yield (steps,)
        return
    for first in range(steps + 1):
        for rest in _lattice(parts - 1, steps - first):
            yield (first, *rest)
