"""Lists by a determinantal point process: the greedy MAP of a kernel of quality and cosine, for many users at once.

The greedy algorithm is that of Chen, Zhang and Zhou (Fast Greedy MAP Inference for Determinantal Point Process,
NeurIPS 2018). They update a row of Cholesky factors for each item chosen. The kernel is made of inner products here, so
the same numbers are had from an orthonormal basis of what was chosen: an item's conditional variance is what its vector
has outside of it. One product of all vectors with one direction a rank, whatever the rank.
"""

from collections.abc import Sequence

import numpy as np

from jobs.ranking.cosines import on_grid, squared_lengths
from jobs.ranking.diversify import Picked, blocks, check_scores, diversity_of
from jobs.ranking.places import Limits, Places, check_places, without_gaps

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
    for rows in blocks(theta < 1, vectors.shape, bytes_each=8):
        block = _Block(base[rows], vectors[rows], theta[rows][:, None])
        pins = None if pinned is None else pinned[rows]
        places = Places(block.worth.copy(), [limit.of(rows) for limit in limits], pins, ranks)
        picks[rows], scores[rows] = without_gaps(*block.lists(places, ranks))
        diversity[rows] = diversity_of(picks[rows], vectors[rows])
    width = min(length, base.shape[1])
    return Picked(picks[:, :width], scores[:, :width], diversity[:, :width])


class _Block:
    """The greedy choice for a few users: base float64 [n, c], vectors float32 [n, c, d], theta float64 [n, 1]."""

    def __init__(self, base: np.ndarray, vectors: np.ndarray, theta: np.ndarray):
        squared_lengths(vectors)
        self.theta = theta
        self.worth = np.where(base == -np.inf, -np.inf, theta * np.maximum(base, np.finfo(np.float64).min))
        self.vectors = on_grid(vectors)
        self._users = np.arange(len(base))

    def lists(self, places: Places, ranks: int) -> tuple[np.ndarray, np.ndarray]:
        """Picks int64 [n, ranks] and their scores float64 [n, ranks]."""
        variance, varied = np.ones(self.worth.shape), (self.theta < 1).any()
        picks, scores = np.full((ranks, len(self.worth)), -1, np.int64), np.zeros((ranks, len(self.worth)))
        # orthonormal, and what each candidate's vector has along each of it
        basis, shadows = np.zeros((len(variance), ranks, self.vectors.shape[2])), np.zeros((ranks, *variance.shape))
        for rank in range(ranks):
            told = (1 - self.theta) * np.log(np.maximum(variance, FLOOR))
            total = places.level + told
            best = total.argmax(axis=1)
            best, found = places.at(rank, best, total[self._users, best] > -np.inf)
            if not found.any():
                if places.pinned is None:
                    break
                continue
            picks[rank] = np.where(found, best, -1)
            scores[rank] = np.where(found, self.worth[self._users, best] + told[self._users, best], 0.0)
            places.take(rank, best, found)
            if varied and rank + 1 < ranks:
                new = found & (variance[self._users, best] > FLOOR)
                inside = shadows[:rank, self._users, best].T
                basis[:, rank] = self._direction(best, basis[:, :rank], inside) * new[:, None]
                np.matvec(self.vectors, basis[:, rank], out=shadows[rank])
                variance -= shadows[rank] * shadows[rank]
        return picks.T, scores.T

    def _direction(self, best: np.ndarray, basis: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """float64 [n, d], what the best one's vector has outside of the basis [n, k, d], of length 1; or zero.

        Where little is left, much of it is rounding, so it is taken once more: then twice is enough (Giraud et al.,
        Numerische Mathematik 2005). All factors lie on the grid of :mod:`jobs.ranking.cosines`, so that the other users
        of a batch don't matter.

        Args:
            inside: float64 [n, k], the vector's products with the basis.
        """
        rest, length = _outside(self.vectors[self._users, best], basis, inside)
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
