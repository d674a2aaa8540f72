"""Lists by a determinantal point process: the greedy MAP of a kernel of quality and cosine, for many users at once.

The greedy algorithm is that of Chen, Zhang and Zhou (Fast Greedy MAP Inference for Determinantal Point Process,
NeurIPS 2018). They update a row of Cholesky factors for each item chosen. The kernel is made of inner products here, so
the same numbers are had from an orthonormal basis of what was chosen: an item's conditional variance is what its vector
has outside of it. It only falls, so that most ranks look at a few candidates alone (:mod:`jobs.ranking.shortlist`).
"""

from collections.abc import Sequence

import numpy as np

from jobs.ranking.basis import direction, left
from jobs.ranking.calibration import Calibration, Penalty
from jobs.ranking.cosines import on_grid, rough_error, squared_lengths
from jobs.ranking.diversify import Picked, blocks, check_scores, diversity_of
from jobs.ranking.places import Limits, Places, check_places, without_gaps
from jobs.ranking.shortlist import SIZE, Shortlists, due

FLOOR = 1e-6  # of a conditional variance, from 1: below it lies what float32 rounds
UNIT = 2.0**-24  # relative rounding error of float32
LOGARITHM = 1e-5  # how far float32 may miss a logarithm of a number from FLOOR to 2


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
    # a rank has twice the steps of MMR's, whose fixed cost more users share
    for rows in blocks(theta < 1, vectors.shape, 1 / 8 if calibration is None else 1 / 4):
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
        highest = np.where(np.isfinite(self.worth), np.abs(self.worth), 0.0).max(axis=1, initial=0.0)
        # the worth, what is added to it and their sum are rounded; a penalty comes on top
        self._slack = ((1 - theta) * LOGARITHM + 8 * UNIT * highest[:, None]).astype(np.float32)
        self._apart = (1 - theta).astype(np.float32)
        self._variance, self._seen = np.ones(base.shape, np.float32), np.zeros(len(base), np.int64)  # as at that rank
        self._users, self._starts = np.arange(len(base)), np.arange(len(base)) * base.shape[1]
        self._rows = vectors.reshape(-1, vectors.shape[2])

    def lists(self, places: Places, penalty: Penalty | None) -> tuple[np.ndarray, np.ndarray]:
        """Picks int64 [n, ranks] and their scores float64 [n, ranks]."""
        shape = (self.ranks, len(self.worth))
        picks, variances, penalties = np.full(shape, -1, np.int64), np.ones(shape), np.zeros(shape)
        size = SIZE if penalty is None else self.worth.shape[1]
        if penalty is not None:
            self._slack += (8 * UNIT * penalty.largest[:, None]).astype(np.float32)
        for rank in range(self.ranks):
            if due(rank) and (rank == 0 or size < self.worth.shape[1]):
                self._shorten(places, rank, size)
            now = None if penalty is None else penalty.costs()
            best, found = places.at(rank, *self._best(places, rank, now))
            if not np.count_nonzero(found):
                if places.pinned is None:
                    break
                continue
            picks[rank] = np.where(found, best, -1)
            vectors, basis = on_grid(self._rows.take(self._starts + best, axis=0)), self.basis[:, :rank]
            inside = np.matvec(basis, vectors)
            variances[rank] = left(inside)
            if penalty is not None:
                penalties[rank] = now[self._users, best]
                penalty.take(best, found)
            places.take(rank, best, found)
            if rank + 1 < self.ranks:
                new = found & (variances[rank] > FLOOR)
                self.basis[:, rank] = direction(vectors, basis, inside) * new[:, None]
                moved = np.matvec(self._near, self.basis[:, rank].astype(np.float32))
                self._near_variance -= np.square(moved, out=moved)
        told = (1 - self.theta) * np.log(np.maximum(variances.T, FLOOR)) - penalties.T
        worth = np.take_along_axis(self.worth, np.maximum(picks.T, 0), axis=1)
        return picks.T, np.where(picks.T >= 0, worth + told, 0.0)

    def _best(self, places: Places, rank: int, penalties: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The candidate with the largest total, int64 [n], and whether there is one.

        Where bounds overlap, exact totals decide; where those of others could be the best, all are looked at.
        """
        level, off, everybody = places.level.take(self._flat).astype(np.float32), self._off(rank), slice(None)
        lowest = self._bound(level, self._near_variance, everybody, -off)
        highest = self._bound(level, self._near_variance, everybody, off)
        if penalties is not None:
            now = penalties.take(self._flat).astype(np.float32)
            lowest, highest = lowest - now, highest - now
        first = lowest.argmax(axis=1)
        best, reached = self._short.places[self._users, first], lowest[self._users, first]
        live = reached > -np.inf
        dry = np.flatnonzero((self._short.bound >= reached) & (self._short.bound > -np.inf))
        reached[~live] = np.inf
        reached[dry] = np.inf
        self._decide(best, self._users, highest >= reached[:, None], places, rank, penalties)
        if len(dry):
            highest = self._look(places, dry, rank)
            lowest = self._bound(places.level[dry].astype(np.float32), self._variance[dry], dry, -off[dry])
            reached, best[dry] = lowest.max(axis=1), lowest.argmax(axis=1)
            live[dry] = reached > -np.inf
            self._renew(dry, highest)
            near = (highest >= reached[:, None]) & live[dry, None]
            self._decide(best, dry, near, places, rank, penalties)
        return best, live

    def _decide(
        self,
        best: np.ndarray,
        users: np.ndarray,
        near: np.ndarray,
        places: Places,
        rank: int,
        penalties: np.ndarray | None,
    ) -> None:
        """Puts into ``best`` whose exact total is the largest, for those of the users int64 [u] who have several near.

        Args:
            near: bool [u, m], of their shortlists, or of all candidates.
        """
        hits = np.flatnonzero(near)
        owners = hits // near.shape[1]
        again = owners[1:] == owners[:-1]
        if not np.count_nonzero(again):
            return
        first = np.flatnonzero(np.append(True, ~again) & np.append(again, False))  # of those with several
        counts = np.bincount(owners, minlength=len(near))[owners[first]]
        width = np.arange(counts.max())
        # who has fewer has the first of them at the end again, where it is no better than at the start
        at = hits[first[:, None] + np.where(width < counts[:, None], width, 0)] % near.shape[1]
        tied = users[owners[first]]
        whole = near.shape[1] == self.worth.shape[1]
        close = at if whole else self._short.places[tied[:, None], at]
        vectors = on_grid(self.vectors[tied[:, None], close])
        inside = vectors @ self.basis[tied, :rank].swapaxes(1, 2)
        variance = left(inside.reshape(close.size, rank)).reshape(close.shape)
        exact = places.level[tied[:, None], close] + (1 - self.theta[tied]) * np.log(np.maximum(variance, FLOOR))
        if penalties is not None:
            exact -= penalties[tied[:, None], close]
        best[tied] = np.take_along_axis(close, exact.argmax(axis=1)[:, None], axis=1)[:, 0]

    def _off(self, rank: int) -> np.ndarray:
        """float32 [n, 1]: how far a rough variance may lie from the exact one.

        2 p error + error^2 of a square p^2, of which all together are no more than 1 (Cauchy and Schwarz), and what
        float32 rounds when it squares and subtracts.
        """
        each = self._error
        return (2.1 * np.sqrt(rank) * each + rank * (each**2 + 2 * UNIT)).astype(np.float32)

    def _bound(self, level: np.ndarray, variance: np.ndarray, users: np.ndarray | slice, off: np.ndarray) -> np.ndarray:
        """float32 [u, m]: the totals of some users' candidates at most; at least, if ``off`` is negative."""
        told = variance + off
        np.maximum(told, np.float32(FLOOR), out=told)
        np.log(told, out=told)
        told *= self._apart[users]
        told += level
        told += np.copysign(self._slack[users], off)
        return told

    def _shorten(self, places: Places, rank: int, size: int) -> None:
        """Makes all shortlists anew."""
        self._short = Shortlists(self._look(places, slice(None), rank), size)
        self._flat = self._starts[:, None] + self._short.places
        self._near = self._rows.take(self._flat, axis=0)
        self._near_variance = self._variance.take(self._flat)

    def _renew(self, users: np.ndarray, highest: np.ndarray) -> None:
        """Makes those of some users anew, whose totals are float32 [u, c] at most."""
        self._short.renew(users, highest)
        self._flat[users] = self._starts[users, None] + self._short.places[users]
        self._near[users] = self._rows.take(self._flat[users], axis=0)
        self._near_variance[users] = self._variance.take(self._flat[users])

    def _look(self, places: Places, users: np.ndarray | slice, rank: int) -> np.ndarray:
        """float32 [u, c], what the totals of all candidates of some users are at most; variances are brought up."""
        seen = self._seen[users]
        first = int(seen.min(initial=rank))
        if first < rank:
            # a thin matrix that lies in memory by its columns: the product takes a third of the time
            thin = np.ascontiguousarray(self.basis[users, first:rank].swapaxes(1, 2), np.float32)
            thin *= (seen[:, None] <= np.arange(first, rank))[:, None, :]  # what a user's variances know already
            products = self.vectors[users] @ thin
            self._variance[users] -= np.einsum("uck,uck->uc", products, products)
            self._seen[users] = rank
        level = places.level[users].astype(np.float32)
        return self._bound(level, self._variance[users], users, self._off(rank)[users])
