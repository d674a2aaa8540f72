"""Lists by a determinantal point process: the greedy MAP of a kernel of quality and cosine, for many users at once.

The greedy algorithm is that of Chen, Zhang and Zhou (Fast Greedy MAP Inference for Determinantal Point Process,
NeurIPS 2018). They update a row of Cholesky factors for each item chosen. The kernel is made of inner products here, so
the same numbers are had from an orthonormal basis of what was chosen: an item's conditional variance is what its vector
has outside of it. It only falls, so that most ranks look at a few candidates alone (:mod:`jobs.ranking.shortlist`).
"""

from collections.abc import Sequence

import numpy as np

from jobs.ranking.calibration import Calibration, Penalty
from jobs.ranking.cosines import on_grid, rough_error, squared_lengths
from jobs.ranking.diversify import Picked, blocks, check_scores, diversity_of
from jobs.ranking.places import Limits, Places, check_places, without_gaps
from jobs.ranking.shortlist import RANKS, SIZE, Shortlists

FLOOR = 1e-6  # of a conditional variance, from 1: below it lies what float32 rounds
UNIT = 2.0**-24  # relative rounding error of float32
LOGARITHM = 1e-5  # how far float32 may miss a logarithm of a number from FLOOR to 2
SHORT = 0.1  # of a length of 1: what is left of a vector that is to be taken apart twice


def dpp(
    base: np.ndarray,
    vectors: np.ndarray,
    theta: np.ndarray,
    length: int,
    *,
    limits: Sequence[Limits] = (),
    pinned: np.ndarray | None = None,
    calibration: Calibration | None = None,
) -> Picked:
    """Greedy choice by ``theta x base + (1 - theta) x log(conditional variance)``.

    This maximises theta x the sum of base + (1 - theta) x log det S (Chen et al., equation 13), with S the cosines. The
    conditional variance of an item is 1 for the first, and then the squared length of what its vector has apart from
    the chosen ones'; it counts as 1e-6 where it is less. So copies of what is chosen, and everything once the chosen
    span the space, stand in the order of base. A zero vector is like nothing, not even another: its variance stays 1.
    Equal totals go to the candidate that stands first.

    Args:
        base: float64 [n, c], what an item is worth alone; -inf for what may not be chosen.
        vectors: float32 [n, c, d], of unit length or zero.
        theta: float64 [n], from 0, variety alone, to 1, base alone.
        length, limits, pinned, calibration: as of :func:`jobs.ranking.diversify.mmr`.

    Returns:
        as mmr does, the scores being the totals above.

    Raises:
        ValueError: as mmr does, and if a theta lies outside of [0, 1].
    """
    base, vectors, theta = np.asarray(base, np.float64), np.asarray(vectors, np.float32), np.asarray(theta, np.float64)
    check_scores(base, vectors, "theta", theta)
    check_places(base, limits, pinned, length)
    if calibration is not None:
        calibration.check(base.shape)
    if (theta > 1).any():
        user = int(np.argmax(theta > 1))
        raise ValueError(f"theta[{user}] is {theta[user]}; it must lie between 0 and 1")
    ranks = length if pinned is not None else min(length, base.shape[1])
    picks = np.full((len(base), ranks), -1, np.int64)
    scores, diversity = np.zeros(picks.shape), np.ones(picks.shape)
    for rows in blocks(theta < 1, vectors.shape, bytes_each=1):  # most ranks read a shortlist: more users fit
        block = _Block(base[rows], vectors[rows], theta[rows][:, None], ranks)
        pins = None if pinned is None else pinned[rows]
        places = Places(block.worth.copy(), [limit.of(rows) for limit in limits], pins, ranks)
        term = None if calibration is None else Penalty(calibration.of(rows))
        picks[rows], scores[rows] = without_gaps(*block.lists(places, term))
        diversity[rows] = diversity_of(picks[rows], vectors[rows])
    width = min(length, base.shape[1])
    return Picked(picks[:, :width], scores[:, :width], diversity[:, :width])


class _Block:
    """The greedy choice for a few users: base float64 [n, c], vectors float32 [n, c, d], theta float64 [n, 1].

    float32 keeps every variance to within :attr:`_error`, so that a total lies between two bounds; whose upper one
    reaches the highest lower one is looked at again by exact products. A total only falls, so most ranks look at a
    shortlist alone; a penalty may fall, and with it they look at everything.
    """

    def __init__(self, base: np.ndarray, vectors: np.ndarray, theta: np.ndarray, ranks: int):
        self.theta, self.ranks, self.vectors = theta, ranks, vectors
        self.worth = np.where(base == -np.inf, -np.inf, theta * np.maximum(base, np.finfo(np.float64).min))
        self.basis = np.zeros((len(base), ranks, vectors.shape[2]))  # orthonormal: what was chosen
        # of a product with a vector of the basis, which is rounded to float32 as well
        self._error = 1.01 * rough_error(squared_lengths(vectors), vectors.shape[2])[:, None] + 3 * UNIT
        self._variance, self._seen = np.ones(base.shape, np.float32), np.zeros(len(base), np.int64)  # as at that rank
        self._users, self._starts = np.arange(len(base)), np.arange(len(base))[:, None] * base.shape[1]

    def lists(self, places: Places, penalty: Penalty | None) -> tuple[np.ndarray, np.ndarray]:
        """Picks int64 [n, ranks] and their scores float64 [n, ranks]."""
        picks, scores = np.full((self.ranks, len(self.worth)), -1, np.int64), np.zeros((self.ranks, len(self.worth)))
        size = SIZE if penalty is None else self.worth.shape[1]
        for rank in range(self.ranks):
            if rank % RANKS == 0:
                self._shorten(places, rank, size)
            now = None if penalty is None else penalty.costs()
            best, found = places.at(rank, *self._best(places, rank, now))
            if not np.count_nonzero(found):
                if places.pinned is None:
                    break
                continue
            picks[rank] = np.where(found, best, -1)
            vectors, basis = on_grid(self.vectors[self._users, best]), self.basis[:, :rank]
            inside = np.matvec(basis, vectors)
            variance = _left(inside)
            told = (1 - self.theta[:, 0]) * np.log(np.maximum(variance, FLOOR))
            if penalty is not None:
                told -= now[self._users, best]
                penalty.take(best, found)
            scores[rank] = np.where(found, self.worth[self._users, best] + told, 0.0)
            places.take(rank, best, found)
            if rank + 1 < self.ranks:
                new = found & (variance > FLOOR)
                self.basis[:, rank] = _direction(vectors, basis, inside) * new[:, None]
                self._near_variance -= np.square(np.matvec(self._near, self.basis[:, rank].astype(np.float32)))
        return picks.T, scores.T

    def _best(self, places: Places, rank: int, penalties: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The candidate with the largest total, int64 [n], and whether there is one."""
        lowest, highest = self._bounds(places.level.take(self._flat), self._near_variance, self._users, rank)
        if penalties is not None:
            lowest, highest = lowest - penalties, highest - penalties
        first = lowest.argmax(axis=1)
        best, reached = self._short.places[self._users, first], lowest[self._users, first]
        live = reached > -np.inf
        dry = np.flatnonzero((self._short.bound >= reached) & (self._short.bound > -np.inf))
        reached[~live] = np.inf
        reached[dry] = np.inf
        near, close = highest >= reached[:, None], []
        if np.count_nonzero(near) > np.count_nonzero(reached < np.inf):
            rows = np.flatnonzero(np.count_nonzero(near, axis=1) > 1)
            close = [(user, self._short.places[user, near[user]]) for user in rows]
        if len(dry):
            lowest, highest = self._look(places, dry, rank)
            reached, best[dry] = lowest.max(axis=1), lowest.argmax(axis=1)
            live[dry] = reached > -np.inf
            near = (highest >= reached[:, None]) & live[dry, None]
            close += [(user, np.flatnonzero(each)) for user, each in zip(dry, near, strict=True)]
            self._short.renew(dry, highest)
            self._gather(dry)
        for user, each in close:
            if len(each) > 1:
                exact = self._exact(user, each, places, rank) - (0 if penalties is None else penalties[user, each])
                best[user] = each[exact.argmax()]
        return best, live

    def _exact(self, user: int, close: np.ndarray, places: Places, rank: int) -> np.ndarray:
        """float64 [m]: the totals of some candidates of a user."""
        variance = _left(on_grid(self.vectors[user, close]) @ self.basis[user, :rank].T)
        return places.level[user, close] + (1 - self.theta[user]) * np.log(np.maximum(variance, FLOOR))

    def _bounds(
        self, level: np.ndarray, variance: np.ndarray, users: np.ndarray, rank: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """float64 [u, m] each: what the totals of some users' candidates lie between.

        2 p error + error^2 of a square p^2, of which all together are no more than 1 (Cauchy and Schwarz), and what
        float32 rounds when it squares and subtracts.
        """
        each = self._error[users]
        off = (2.1 * np.sqrt(rank) * each + rank * (each**2 + 2 * UNIT)).astype(np.float32)
        apart = 1 - self.theta[users]
        low, high = (np.log(np.maximum(moved, np.float32(FLOOR))) for moved in (variance - off, variance + off))
        return level + apart * (low - LOGARITHM), level + apart * (high + LOGARITHM)

    def _shorten(self, places: Places, rank: int, size: int) -> None:
        """Makes all shortlists anew."""
        self._short = Shortlists(self._look(places, self._users, rank)[1], size)
        self._flat = self._starts + self._short.places
        self._near = self.vectors.reshape(-1, self.vectors.shape[2]).take(self._flat, axis=0)
        self._near_variance = self._variance.take(self._flat)

    def _gather(self, users: np.ndarray) -> None:
        """The shortlists of some users have changed."""
        self._flat[users] = self._starts[users] + self._short.places[users]
        self._near[users] = self.vectors[users[:, None], self._short.places[users]]
        self._near_variance[users] = self._variance.take(self._flat[users])

    def _look(self, places: Places, users: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """Bounds float64 [u, c] of the totals of all candidates of some users, whose variances it brings up to date."""
        for first in np.unique(self._seen[users]):
            late = users[self._seen[users] == first]
            rows = slice(None) if len(late) == len(self._users) else late  # a slice needs no copy
            # a thin matrix that lies in memory by its columns: the product takes a third of the time
            thin = np.ascontiguousarray(self.basis[rows, first:rank].swapaxes(1, 2), np.float32)
            products = np.square(self.vectors[rows] @ thin)
            for each in range(rank - first):
                self._variance[rows] -= products[:, :, each]
        self._seen[users] = rank
        return self._bounds(places.level[users], self._variance[users], users, rank)


def _left(inside: np.ndarray) -> np.ndarray:
    """float64 [n]: 1 less the squares of float64 [n, k], one after the other."""
    steps = np.empty((inside.shape[1] + 1, len(inside)))
    steps[0] = 1
    np.square(inside.T, out=steps[1:])
    return np.subtract.reduce(steps, axis=0)


def _direction(vectors: np.ndarray, basis: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """float64 [n, d], what vectors [n, d] have outside of the basis [n, k, d], of length 1; or zero.

    Where little is left, much of it is rounding, so it is taken once more: then twice is enough (Giraud et al.,
    Numerische Mathematik 2005). All factors lie on the grid of :mod:`jobs.ranking.cosines`, so that the other users of
    a batch don't matter.

    Args:
        inside: float64 [n, k], the vectors' products with the basis.
    """
    rest, length = _outside(vectors, basis, inside)
    again = np.flatnonzero(length < SHORT)
    if len(again):
        rest[again] = _outside(rest[again], basis[again], np.matvec(basis[again], rest[again]))[0]
    return rest


def _outside(vectors: np.ndarray, basis: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rest of vectors [n, d] without what is inside of the basis, of length 1, and its length [n] before."""
    rest = vectors - np.vecmat(on_grid(inside), basis)
    length = np.sqrt(np.add.accumulate(rest * rest, axis=1)[:, -1])
    each = length[:, None]
    return on_grid(np.divide(rest, each, out=np.zeros(rest.shape), where=each > 0)), length
