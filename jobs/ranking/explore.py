"""Places given to items of which little is known, with the true probability of each row."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

POINTS, REACH = 129, 6.0  # of the integral over the best item's value: how many, and how many deviations they span
CURIOUS = 1.0  # standard deviations above its mean that an upper bound lies


@dataclass(frozen=True)
class Explored:
    """Lists of n users after exploration.

    Args:
        picks: int64 [n, k], as before but for the places explored.
        propensity: float64 [n, k], the probability that this policy puts this item at this rank; 1 past the end.
        tried: bool [n, k], the places explored.
    """

    picks: np.ndarray
    propensity: np.ndarray
    tried: np.ndarray


def spread(means: np.ndarray, seen: np.ndarray, prior: float) -> np.ndarray:
    """The standard deviation of a probability: that of a Beta posterior with this mean.

    Args:
        means: float64, what the model expects.
        seen: float64 of the same shape, how often it was put to the test; older tests count less.
        prior: tests that the model's own word is worth.
    """
    return np.sqrt(means * (1 - means) / (prior + seen + 1))


def thompson(means: np.ndarray, spreads: np.ndarray, there: np.ndarray) -> np.ndarray:
    """float64 [n, p]: the probability that Thompson sampling takes each item of a pool (Thompson 1933).

    That is the probability that its draw from Normal(mean, spread) is the largest (Gaussian posteriors: Agrawal and
    Goyal, AISTATS 2013), by Simpson's rule; a list draws from these probabilities, so they are exact whatever the
    integral's error. Rows sum to 1, but for those without an item.

    Args:
        means, spreads: float64 [n, p]; spreads are not negative.
        there: bool [n, p], False for padding.
    """
    wide = np.where(there, np.maximum(spreads, 1e-12), 1.0)
    shares = np.zeros(means.shape)
    # each item's own integral over its own range: a narrow one would fall between the points of a common grid
    steps = np.linspace(-REACH, REACH, POINTS)
    density = np.exp(-(steps**2) / 2)
    weights = np.ones(POINTS)
    weights[1:-1:2], weights[2:-1:2] = 4.0, 2.0
    for item in range(means.shape[1]):
        at = means[:, item, None] + wide[:, item, None] * steps
        below = np.ones(at.shape)
        for other in range(means.shape[1]):
            if other != item:
                reached = ndtr((at - means[:, other, None]) / wide[:, other, None])
                below *= np.where(there[:, other, None], reached, 1.0)
        shares[:, item] = (below * density * weights).sum(axis=1)
    shares = np.where(there, shares, 0.0)
    total = shares.sum(axis=1, keepdims=True)
    return np.divide(shares, total, out=np.zeros(shares.shape), where=total > 0)


def upper_bound(means: np.ndarray, spreads: np.ndarray, there: np.ndarray) -> np.ndarray:
    """float64 [n, p]: 1 for the item with the largest mean + CURIOUS x spread (UCB: Auer et al. 2002), else 0."""
    bounds = np.where(there, means + CURIOUS * spreads, -np.inf)
    shares = np.zeros(means.shape)
    shares[np.arange(len(bounds)), bounds.argmax(axis=1)] = 1.0
    return np.where(there, shares, 0.0)


WAYS = {"thompson": thompson, "upper_bound": upper_bound}


def explored(
    picks: np.ndarray, pool: np.ndarray, shares: np.ndarray, free: np.ndarray, budget: float, draws: np.ndarray
) -> Explored:
    """Gives one place of a list to an item of its pool, in the share ``budget`` of lists.

    The place is drawn from the free ones, all alike, and the item by its share; the item that stood there goes. So at a
    free place of f the listed item stays with probability 1 - budget / f, and an item of the pool stands there with
    budget / f x its share: they sum to 1.

    Args:
        picks: int64 [n, k], the lists, -1 past the end.
        pool: int64 [n, p], candidates that stand in no list; -1 for padding.
        shares: float64 [n, p], rows sum to 1 or to 0.
        free: bool [n, k], places that may be explored.
        budget: expected places a list, from 0 to 1.
        draws: float64 [n, 3], uniform in [0, 1): whether, where, and which.

    Raises:
        ValueError: if the budget is not from 0 to 1.
    """
    if not 0 <= budget <= 1:
        raise ValueError(f"the budget of exploration is {budget}; it must be from 0 to 1 places a list")
    free = free & (picks >= 0) & (shares.sum(axis=1) > 0)[:, None]
    places = free.sum(axis=1)
    odds = np.divide(budget, places, out=np.zeros(len(picks)), where=places > 0)
    propensity = np.where(free, 1 - odds[:, None], 1.0)
    goes = np.flatnonzero((draws[:, 0] < budget) & (places > 0))
    nth = (draws[goes, 1] * places[goes]).astype(np.int64)
    rank = (free[goes].cumsum(axis=1) > nth[:, None]).argmax(axis=1)
    reached = shares[goes].cumsum(axis=1) / shares[goes].sum(axis=1, keepdims=True)
    item = (reached > draws[goes, 2, None]).argmax(axis=1)
    lists, tried = picks.copy(), np.zeros(picks.shape, bool)
    lists[goes, rank] = pool[goes, item]
    propensity[goes, rank] = odds[goes] * shares[goes, item]
    tried[goes, rank] = True
    return Explored(lists, propensity, tried)


def changed(picks: np.ndarray, pool: np.ndarray, shares: np.ndarray, free: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """float64 [n]: what a place that is explored changes of a list's discounted gain, expected over all draws.

    At a free place r of f stands what :func:`explored` draws in place of the listed item: the mean over these places of
    (sum of share x gain - the listed item's gain) / log2(r + 1). No draw is made, so it has no noise of its own; a
    budget of b places costs b times as much. 0 where nothing can be explored.

    Args:
        picks, pool, shares, free: as of explored.
        gains: float64 [n, c], of the candidates.
    """
    free = free & (picks >= 0) & (shares.sum(axis=1) > 0)[:, None]
    users = np.arange(len(picks))[:, None]
    tried = (shares * np.where(pool >= 0, gains[users, pool], 0.0)).sum(axis=1, keepdims=True)
    less = np.where(free, (tried - gains[users, picks]) / np.log2(np.arange(2, picks.shape[1] + 2)), 0.0)
    places = free.sum(axis=1)
    return np.divide(less.sum(axis=1), places, out=np.zeros(len(picks)), where=places > 0)
