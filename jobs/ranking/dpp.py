"""Lists by a determinantal point process: the greedy MAP of a kernel of quality and cosine, for many users at once.

The greedy algorithm is that of Chen, Zhang and Zhou (Fast Greedy MAP Inference for Determinantal Point Process,
NeurIPS 2018). They update a row of Cholesky factors for each item chosen. The kernel is made of inner products here, so
the same numbers are had from an orthonormal basis of what was chosen: an item's conditional variance is what its vector
has outside of it. It only falls, so that most ranks look at a few candidates alone (:mod:`jobs.ranking.shortlist`).
"""

from collections.abc import Sequence

import numpy as np

from jobs.ranking.cosines import on_grid, squared_lengths
from jobs.ranking.diversify import Picked, blocks, check_scores, diversity_of
from jobs.ranking.places import Limits, Places, check_places, without_gaps
from jobs.ranking.shortlist import RANKS, Shortlists

FLOOR = 1e-6  # of a conditional variance, from 1: below it lies what float32 rounds
SHORT = 0.1  # of a length of 1: what is left of a vector that is to be taken apart twice


def dpp(
    base: np.ndarray,
    vectors: np.ndarray,
    theta: np.ndarray,
    length: int,
    *,
    limits: Sequence[Limits] = (),
    pinned: np.ndarray | None = None,
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
        length, limits, pinned: as of :func:`jobs.ranking.diversify.mmr`.

    Returns:
        as mmr does, the scores being the totals above.

    Raises:
        ValueError: as mmr does, and if a theta lies outside of [0, 1].
    """
    base, vectors, theta = np.asarray(base, np.float64), np.asarray(vectors, np.float32), np.asarray(theta, np.float64)
    check_scores(base, vectors, "theta", theta)
    check_places(base, limits, pinned, length)
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
        picks[rows], scores[rows] = without_gaps(*block.lists(places))
        diversity[rows] = diversity_of(picks[rows], vectors[rows])
    width = min(length, base.shape[1])
    return Picked(picks[:, :width], scores[:, :width], diversity[:, :width])


class _Block:
    """The greedy choice for a few users: base float64 [n, c], vectors float32 [n, c, d], theta float64 [n, 1].

    A total only falls from rank to rank, so most ranks look at a shortlist alone. A variance is 1 less the squares of
    exact products, taken off in the order of the ranks: it comes out the same whenever it is looked at.
    """

    def __init__(self, base: np.ndarray, vectors: np.ndarray, theta: np.ndarray, ranks: int):
        squared_lengths(vectors)
        self.theta, self.ranks = theta, ranks
        self.worth = np.where(base == -np.inf, -np.inf, theta * np.maximum(base, np.finfo(np.float64).min))
        self.vectors = on_grid(vectors)
        self.basis = np.zeros((len(base), ranks, vectors.shape[2]))  # orthonormal: what was chosen
        self._variance, self._seen = np.ones(base.shape), np.zeros(len(base), np.int64)  # as they were at that rank
        self._users = np.arange(len(base))

    def lists(self, places: Places) -> tuple[np.ndarray, np.ndarray]:
        """Picks int64 [n, ranks] and their scores float64 [n, ranks]."""
        picks, scores = np.full((self.ranks, len(self.worth)), -1, np.int64), np.zeros((self.ranks, len(self.worth)))
        for rank in range(self.ranks):
            if rank % RANKS == 0:
                self._shorten(places, rank)
            best, found = places.at(rank, *self._best(places, rank))
            if not np.count_nonzero(found):
                if places.pinned is None:
                    break
                continue
            picks[rank] = np.where(found, best, -1)
            vectors, basis = self.vectors[self._users, best], self.basis[:, :rank]
            inside = np.matvec(basis, vectors)
            variance = _left(inside)
            told = (1 - self.theta[:, 0]) * np.log(np.maximum(variance, FLOOR))
            scores[rank] = np.where(found, self.worth[self._users, best] + told, 0.0)
            places.take(rank, best, found)
            if rank + 1 < self.ranks:
                new = found & (variance > FLOOR)
                self.basis[:, rank] = _direction(vectors, basis, inside) * new[:, None]
                self._near_variance -= np.square(np.matvec(self._near, self.basis[:, rank]))
        return picks.T, scores.T

    def _best(self, places: Places, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """The candidate with the largest total, int64 [n], and whether there is one."""
        level = places.level[self._users[:, None], self._short.places]
        total = level + (1 - self.theta) * np.log(np.maximum(self._near_variance, FLOOR))
        first = total.argmax(axis=1)
        best, highest = self._short.places[self._users, first], total[self._users, first]
        dry = np.flatnonzero((highest <= self._short.bound) & (self._short.bound > -np.inf))
        if len(dry):
            whole = self._look(places, dry, rank)
            best[dry] = whole.argmax(axis=1)
            highest[dry] = whole.max(axis=1)
            self._short.renew(dry, whole)
            self._gather(dry)
        return best, highest > -np.inf

    def _shorten(self, places: Places, rank: int) -> None:
        """Makes all shortlists anew."""
        self._short = Shortlists(self._look(places, self._users, rank))
        shape = self._short.places.shape
        self._near, self._near_variance = np.empty((*shape, self.vectors.shape[2])), np.empty(shape)
        self._gather(self._users)

    def _gather(self, users: np.ndarray) -> None:
        places = self._short.places[users]
        self._near[users] = self.vectors[users[:, None], places]
        self._near_variance[users] = self._variance[users[:, None], places]

    def _look(self, places: Places, users: np.ndarray, rank: int) -> np.ndarray:
        """float64 [u, c], the totals of all candidates of some users, whose variances it brings up to the rank."""
        for first in np.unique(self._seen[users]):
            late = users[self._seen[users] == first]
            rows = slice(None) if len(late) == len(self._users) else late  # a slice needs no copy
            products = self.basis[rows, first:rank] @ self.vectors[rows].swapaxes(1, 2)
            for each in range(rank - first):
                self._variance[rows] -= np.square(products[:, each])
        self._seen[users] = rank
        return places.level[users] + (1 - self.theta[users]) * np.log(np.maximum(self._variance[users], FLOOR))


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
