"""How lists are put together beside their weights: by which re-ranker, how close to the history, how mixed.

The night and the trials of its policies go through :func:`reranked`, but for trials of neutral policies, which have a
quicker way to the same lists (a test holds one to the other): what is tried is what is published.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from jobs.ranking.calibration import Calibration
from jobs.ranking.diversify import Picked, mmr
from jobs.ranking.dpp import dpp
from jobs.ranking.places import Limits

# by parameter, the value at which lists are as they would be without it
NEUTRAL = {"dpp": 0.0, "calibration": 0.0, "category_share": 1.0}
# what a search by a few settings tries of each parameter, the others being neutral
LEVELS = {"dpp": (1.0,), "calibration": (0.02, 0.1, 0.3), "category_share": (0.2, 0.3, 0.5)}
RANGES = {"dpp": (0.0, 1.0), "calibration": (0.0, np.inf), "category_share": (1e-6, 1.0)}
UNMOVED = 1 / 3  # of the range of a gene: there its parameter is neutral
RERANKERS = ("mmr", "dpp")  # by the parameter dpp, which is one or the other


@dataclass(frozen=True)
class Reranking:
    """Of n users.

    Args:
        dpp: bool [n], whether the weight of diversity counts the logarithm of the conditional variance of
            :mod:`jobs.ranking.dpp`, and not half of 1 - the largest cosine as in :mod:`jobs.ranking.diversify`.
        calibration: float64 [n], not negative: what a nat of divergence from the categories of the history costs.
        category_share: float64 [n], over 0 and up to 1: the largest share of a list that one category may have.
    """

    dpp: np.ndarray
    calibration: np.ndarray
    category_share: np.ndarray

    @classmethod
    def of(cls, given: Mapping[str, float | np.ndarray], users: int) -> "Reranking":
        """Of parameters by name, for everybody or [n]; those that are missing are neutral.

        Raises:
            ValueError: if a value is out of its range.
        """
        told = {name: np.broadcast_to(given.get(name, at), users).astype(np.float64) for name, at in NEUTRAL.items()}
        for name, each in told.items():
            low, high = RANGES[name]
            if not ((each >= low) & (each <= high) & np.isfinite(each)).all():
                raise ValueError(f"{name} is {each.tolist()}; it must be a number from {low} to {high}")
        return cls(told["dpp"] >= 0.5, told["calibration"], told["category_share"])

    def rows(self, rows: np.ndarray | slice) -> "Reranking":
        """Of some users."""
        return Reranking(self.dpp[rows], self.calibration[rows], self.category_share[rows])


@dataclass(frozen=True)
class Tastes:
    """The categories of n users' candidates, and of what they took before.

    Args:
        categories: int64 [n, c], the category of each candidate; -1 for none.
        groups: int64 [n, c], the same as a column of ``shares``; -1 where the history lacks it.
        shares: float64 [n, g], what part of the history each of its categories has; a row is 0 without a history.
    """

    categories: np.ndarray
    groups: np.ndarray
    shares: np.ndarray

    @classmethod
    def of(cls, categories: np.ndarray, owners: np.ndarray, past: np.ndarray) -> "Tastes":
        """Of candidates' categories int64 [n, c] and those of the histories' items.

        Args:
            owners, past: int64 [e], whose item it was, and its category; -1 for none, which has no share.
        """
        width = max(int(categories.max(initial=-1)), int(past.max(initial=-1))) + 1
        known = past >= 0
        keys, counts = np.unique(owners[known] * width + past[known], return_counts=True)
        users = keys // max(width, 1)
        column = np.arange(len(keys)) - np.searchsorted(users, users)
        shares = np.zeros((len(categories), int(column.max(initial=-1)) + 1))
        shares[users, column] = counts / np.bincount(users, counts, minlength=len(categories))[users]
        mine = np.arange(len(categories))[:, None] * width + categories
        at = np.searchsorted(keys, mine).clip(max=max(len(keys) - 1, 0))
        there = (categories >= 0) & (keys[at] == mine) if len(keys) else np.zeros(categories.shape, bool)
        groups = np.where(there, column[at] if len(keys) else -1, -1)
        return cls(categories, groups, shares)

    def rows(self, rows: np.ndarray | slice) -> "Tastes":
        """Of some users."""
        return Tastes(self.categories[rows], self.groups[rows], self.shares[rows])


def reranked(
    base: np.ndarray,
    vectors: np.ndarray,
    strength: np.ndarray,
    length: int,
    how: Reranking | None = None,
    tastes: Tastes | None = None,
    *,
    limits: Sequence[Limits] = (),
    pinned: np.ndarray | None = None,
) -> Picked:
    """The lists of n users, each by their own parameters.

    By ``mmr`` a score is base + strength x unlike / 2, by ``dpp`` base + strength x log(conditional variance), each
    less calibration x divergence. A category's places are its share of ``length``, rounded, and at least one; for whom
    that would leave a place empty it doesn't hold.

    Args:
        base, vectors, strength, length, limits, pinned: as of :func:`jobs.ranking.diversify.mmr`.
        how: None is neutral.
        tastes: needed where ``how`` isn't neutral.

    Raises:
        ValueError: as mmr does, and if tastes are needed and not given.
    """
    if how is None or _neutral(how):
        return mmr(base, vectors, strength, length, limits=limits, pinned=pinned)
    if tastes is None and ((how.calibration > 0).any() or (how.category_share < 1).any()):
        raise ValueError("calibration and category_share need the categories of candidates and histories")
    if not (how.category_share < 1).any():
        return _by_kind(base, vectors, strength, length, how, tastes, limits, pinned)
    cap = capped(how, tastes, length)
    found = _by_kind(base, vectors, strength, length, how, tastes, (*limits, cap), pinned)
    short = np.flatnonzero((found.picks < 0).any(axis=1) & (cap.most < length))
    if len(short):
        more = [limit.of(short) for limit in limits], None if pinned is None else pinned[short]
        own = (each[short] for each in (base, vectors, strength))
        whole = _by_kind(*own, length, how.rows(short), tastes.rows(short), *more)
        for mine, theirs in zip(vars(found).values(), vars(whole).values(), strict=True):
            mine[short] = theirs
    return found


def capped(how: Reranking, tastes: Tastes, length: int) -> Limits:
    """What category_share allows: so many items of one category in a list of ``length`` places."""
    return Limits(tastes.categories, np.maximum(np.rint(how.category_share * length).astype(np.int64), 1))


def _by_kind(
    base: np.ndarray,
    vectors: np.ndarray,
    strength: np.ndarray,
    length: int,
    how: Reranking,
    tastes: Tastes | None,
    limits: Sequence[Limits],
    pinned: np.ndarray | None,
) -> Picked:
    """Those of MMR apart from those of the DPP."""
    shape = (len(base), min(length, base.shape[1]))
    found = Picked(np.full(shape, -1, np.int64), np.zeros(shape), np.ones(shape))
    for kind, make in ((False, mmr), (True, _by_variance)):
        rows = np.flatnonzero(how.dpp == kind)
        if not len(rows):
            continue
        mine = slice(None) if len(rows) == len(base) else rows  # a slice needs no copy
        weight = how.calibration[mine]
        term = Calibration(tastes.groups[mine], tastes.shares[mine], weight) if (weight > 0).any() else None
        pins = None if pinned is None else pinned[mine]
        more = {"limits": [limit.of(mine) for limit in limits], "pinned": pins, "calibration": term}
        made = make(base[mine], vectors[mine], strength[mine], length, **more)
        for ours, theirs in zip(vars(found).values(), vars(made).values(), strict=True):
            ours[mine] = theirs
    return found


def _by_variance(
    base: np.ndarray,
    vectors: np.ndarray,
    strength: np.ndarray,
    length: int,
    *,
    limits: Sequence[Limits],
    pinned: np.ndarray | None,
    calibration: Calibration | None,
) -> Picked:
    """:func:`jobs.ranking.dpp.dpp` of theta = 1 / (1 + strength), in units of the base."""
    theta = 1 / (1 + strength)
    if calibration is not None:
        calibration = replace(calibration, weight=calibration.weight * theta)
    found = dpp(base, vectors, theta, length, limits=limits, pinned=pinned, calibration=calibration)
    return Picked(found.picks, found.scores * (1 + strength)[:, None], found.diversity)


def of_genes(genes: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """float64 [p, s], parameters from numbers float64 [p, s] in [0, 1]: neutral up to :data:`UNMOVED`, then rising.

    Half of what lies above is one re-ranker and half the other; the square spreads small strengths of calibration.
    """
    beyond = ((genes - UNMOVED) / (1 - UNMOVED)).clip(0, 1)
    told = {
        "dpp": (beyond > 0.5).astype(np.float64),
        "calibration": beyond**2,
        "category_share": 1 - 0.9 * beyond,
    }
    return np.stack([told[name][:, place] for place, name in enumerate(names)], axis=1) if len(names) else genes


def neutral(names: Sequence[str]) -> np.ndarray:
    """float64 [s]: the parameters of these names at which nothing changes."""
    return np.array([NEUTRAL[name] for name in names])


def few(names: Sequence[str]) -> np.ndarray:
    """float64 [q, s]: the neutral setting, and those in which one parameter has one of its :data:`LEVELS`."""
    rows = [neutral(names)]
    for place, name in enumerate(names):
        for level in LEVELS[name]:
            rows.append(np.where(np.arange(len(names)) == place, level, rows[0]))
    return np.array(rows)


def _neutral(how: Reranking) -> bool:
    return not (how.dpp.any() or how.calibration.any() or (how.category_share < 1).any())
