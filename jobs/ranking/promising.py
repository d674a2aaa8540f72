"""Which policies to try next: those that, by a smooth guess from the ones tried, widen the front most.

What the lists of a policy have changes little with its weights, so radial basis functions through the policies that
were tried foresee others (as the response surface of a search: Müller, SOCEMO, INFORMS Journal on Computing 2017).
"""

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import RBFInterpolator

from jobs.ranking.pareto import nondominated, normalised, varying
from jobs.ranking.rerank import of_genes

POOL = 1000  # policies that are foreseen each time
# of the space of measures, by which it is estimated how much of it is covered: a late policy adds a few in ten thousand
POINTS = 20_000
NEAR = 0.1  # of the first measure's span: so far below the least, policies are mixed too
NEIGHBOURS = 8  # on the front, among which a policy is mixed with two others
JITTER = 0.3  # standard deviation of the logarithm of what half of the weights are then multiplied by
SMOOTHED = 1e-6
ANEW = 0.2  # share of parameters that are drawn anew
APART = 1e-6  # sum of absolute differences below which two policies are the same


def promising(
    weights: np.ndarray,
    values: np.ndarray,
    count: int,
    random: np.random.Generator,
    parameters: Sequence[str] = (),
    least: float = -np.inf,
) -> np.ndarray:
    """float64 [p, o + s] with p <= count: new policies, each the one that would add most to the ones before it.

    Args:
        weights: float64 [t, o + s], policies that were tried, the parameters behind the weights.
        values: float64 [t, m], what they had; higher is better.
        count: how many are wanted.
        random: draws the policies to foresee, and the points.
        parameters: names of the last s columns.
        least: only what widens the front where the first measure has at least so much.
    """
    least = normalised(np.array([[least]]), values[:, :1].min(axis=0), values[:, :1].max(axis=0)).item()
    values = varying(values)
    scaled = normalised(values, values.min(axis=0), values.max(axis=0))
    front = np.flatnonzero(nondominated(scaled))
    near = front[scaled[front, 0] >= least - NEAR]
    pool = _mixed(weights[near], scaled[near], random, parameters)
    new = np.abs(pool[:, None, :] - weights).sum(axis=2).min(axis=1) > APART
    pool = pool[new]
    if not len(pool):
        return pool
    points = random.random((POINTS, scaled.shape[1]))
    points[:, 0] = max(least, 0.0) + (1 - max(least, 0.0)) * points[:, 0]
    covers = _covers(_foreseen(weights, scaled, pool), points[~_covers(scaled[front], points).any(axis=0)])
    return pool[_greedy(covers, count, random)]


def _foreseen(weights: np.ndarray, values: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """float64 [p, m]: a thin-plate spline; a plain one, where the policies tried don't determine the plane it bends."""
    at = np.sqrt(weights)
    flat = np.linalg.matrix_rank(np.insert(at, 0, 1.0, axis=1)) <= at.shape[1]
    shape = {"kernel": "linear", "degree": 0} if flat else {"kernel": "thin_plate_spline", "degree": 1}
    return RBFInterpolator(at, values, smoothing=SMOOTHED, **shape)(np.sqrt(pool))


def _mixed(front: np.ndarray, values: np.ndarray, random: np.random.Generator, parameters: Sequence[str]) -> np.ndarray:
    """float64 [POOL, o + s]: mixtures of three neighbours on the front, with some weights moved.

    Parameters are those of the first of the three, some of them drawn anew.
    """
    count = front.shape[1] - len(parameters)
    apart = np.abs(values[:, None, :] - values).sum(axis=2)
    near = np.argsort(apart, axis=1, kind="stable")[:, :NEIGHBOURS]
    first = random.integers(0, len(front), POOL)
    others = (near[first, random.integers(0, near.shape[1], POOL)] for _ in range(2))
    shares = random.dirichlet(np.ones(3), POOL)
    mixed = sum(share[:, None] * front[each, :count] for share, each in zip(shares.T, (first, *others), strict=True))
    moved = np.where(random.random(mixed.shape) < 0.5, random.normal(0, JITTER, mixed.shape), 0)
    mixed *= np.exp(moved)
    mixed /= mixed.sum(axis=1, keepdims=True)
    if not parameters:
        return mixed
    drawn = of_genes(random.random((POOL, len(parameters))), parameters)
    anew = random.random(drawn.shape) < ANEW
    return np.concatenate([mixed, np.where(anew, drawn, front[first, count:])], axis=1)


def _covers(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """bool [v, p]: whether a value is at least as good as a point in every measure."""
    covers = np.ones((len(values), len(points)), bool)
    for value, point in zip(values.T, points.T, strict=True):
        covers &= value[:, None] >= point
    return covers


def _greedy(covers: np.ndarray, count: int, random: np.random.Generator) -> list[int]:
    """Rows of bool [v, p], each the one that covers most of what those before it don't; by chance where none does."""
    chosen: list[int] = []
    left, gains = np.ones(covers.shape[1], bool), covers.sum(axis=1)
    while len(chosen) < min(count, len(covers)):
        best = int(gains.argmax()) if gains.max() > 0 else int(random.choice(np.flatnonzero(gains >= 0)))
        chosen.append(best)
        new = np.flatnonzero(left & covers[best])
        left[new] = False
        gains -= covers[:, new].sum(axis=1)
        gains[chosen] = -1
    return chosen
