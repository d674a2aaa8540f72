"""Lists that trade what is good alone for what is good together: maximal marginal relevance, greedily, rank by rank.

float32 finds, float64 decides, as in :mod:`jobs.ranking.topk`. A running float32 maximum of cosines gives every
candidate a rough total. Almost always one lies above the others by more than float32 can err, and is picked. Where
several don't, their totals are computed again by the exact cosines of :mod:`jobs.ranking.cosines`. So a list is that of
the float64 totals, whichever users share its batch. Users go through in blocks whose vectors a core's cache holds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from jobs.ranking.calibration import Calibration, Penalty
from jobs.ranking.cosines import on_grid, rough_error, squared_lengths, unlike_above
from jobs.ranking.places import Limits, Places, check_places, without_gaps
from jobs.ranking.topk import require_finite

CACHED = 1 << 21  # bytes of vectors in a block
LARGEST = 1e30  # of a base score: float32 must hold it
UNIT = 2.0**-24  # relative rounding error of float32


@dataclass(frozen=True)
class Picked:
    """The lists of n users, each of at most k = min(length, c) items.

    Args:
        picks: int64 [n, k], positions among the user's candidates, best first; -1 past the end of a short list.
        scores: float64 [n, k], the total at the moment of the choice; 0 past the end.
        diversity: float64 [n, k], in [0, 2]: 1 - the largest cosine to an item above; 1 for the first and past the end.
    """

    picks: np.ndarray
    scores: np.ndarray
    diversity: np.ndarray


def mmr(
    base: np.ndarray,
    vectors: np.ndarray,
    strength: np.ndarray,
    length: int,
    *,
    limits: Sequence[Limits] = (),
    pinned: np.ndarray | None = None,
    calibration: Calibration | None = None,
) -> Picked:
    """Greedy choice by ``base + strength x unlike / 2``, where unlike is 1 - the largest cosine to the items above.

    Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998); unlike is 1 for the first item. Equal totals go to
    the candidate that stands first.

    Args:
        base: float64 [n, c], what an item is worth alone; -inf for what may not be chosen.
        vectors: float32 [n, c, d], of unit length or zero; their inner products are the cosines.
        strength: float64 [n], not negative.
        length: items of a full list.
        limits: at most so many items of one group.
        pinned: int64 [n, length], the candidate that must stand at that rank, -1 for none. It stands nowhere else,
            counts for limits, but isn't refused by them. Where a user's candidates end above it, it moves up.
        calibration: a further term, that draws the list's categories to those of the history.

    Raises:
        ValueError: if a value is NaN or too large, a vector's length neither 1 nor 0, or shapes or pins don't fit.
    """
    base, vectors, strength = np.asarray(base, np.float64), np.asarray(vectors, np.float32), np.asarray(strength)
    check_scores(base, vectors, "strength", strength)
    check_places(base, limits, pinned, length)
    if calibration is not None:
        calibration.check(base.shape)
    ranks = length if pinned is not None else min(length, base.shape[1])
    picks = np.full((len(base), ranks), -1, np.int64)
    penalties, diversity = np.zeros(picks.shape), np.ones(picks.shape)
    for rows in blocks(strength > 0, vectors.shape):
        block = _Block(base[rows], vectors[rows], strength[rows].astype(np.float64))
        places = Places(
            block.level, [limit.of(rows) for limit in limits], None if pinned is None else pinned[rows], ranks
        )
        term = None if calibration is None else Penalty(calibration.of(rows))
        picks[rows], penalties[rows] = without_gaps(*block.lists(places, term, ranks))
        diversity[rows] = diversity_of(picks[rows], block.vectors)
    return scored(base, strength, picks, penalties, diversity, min(length, base.shape[1]))


def blocks(apart: np.ndarray, shape: tuple[int, int, int], *, bytes_each: int = 4) -> Iterator[np.ndarray | slice]:
    """Users whose vectors fit in the cache together, those who are ``apart`` (bool [n]) not with the others."""
    users = max(1, CACHED // max(bytes_each * shape[1] * shape[2], 1))
    for kind in (True, False):
        rows = np.flatnonzero(apart == kind)
        for start in range(0, len(rows), users):
            part = rows[start : start + users]
            whole = part[-1] - part[0] + 1 == len(part)
            yield slice(part[0], part[-1] + 1) if whole else part  # a slice needs no copy


def diversity_of(picks: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """float64 [n, k]: the diversity of lists int64 [n, k] over float32 [n, c, d]; 1 where there is no item."""
    users = np.arange(len(picks))[:, None]
    return np.where(picks >= 0, unlike_above(vectors[users, picks]), 1.0)


def scored(
    base: np.ndarray, strength: np.ndarray, picks: np.ndarray, penalties: np.ndarray, diversity: np.ndarray, length: int
) -> Picked:
    """The lists with their totals, cut to ``length``."""
    own = np.take_along_axis(base, np.maximum(picks, 0), axis=1)
    scores = np.where(picks >= 0, own + strength[:, None] * diversity / 2 - penalties, 0.0)
    return Picked(picks[:, :length], scores[:, :length], diversity[:, :length])


class _Block:
    """The greedy choice for a few users: base float64 [n, c], vectors float32 [n, c, d], strength float64 [n]."""

    def __init__(self, base: np.ndarray, vectors: np.ndarray, strength: np.ndarray):
        self.base, self.vectors, self.strength = base, vectors, strength
        self.half = (strength / 2).astype(np.float32)[:, None]
        self.level = (base + strength[:, None] / 2).astype(np.float32)
        highest = np.where(np.isfinite(base), np.abs(base), 0.0).max(axis=1, initial=0.0) + strength
        # base, strength, their product with a cosine, two differences and the floor are rounded; a penalty comes on top
        self.slack = strength * rough_error(squared_lengths(vectors), vectors.shape[2]) + 16 * UNIT * highest
        self.slack = self.slack.astype(np.float32)
        self._users, self._starts = np.arange(len(base)), np.arange(len(base)) * base.shape[1]
        self._exact: dict[int, tuple[np.ndarray, np.ndarray, int]] = {}

    def lists(self, places: Places, penalty: Penalty | None, ranks: int) -> tuple[np.ndarray, np.ndarray]:
        """Picks int64 [n, ranks] and the penalties float64 [n, ranks] at the moment of the choice."""
        count, like = len(self.base), np.zeros(self.base.shape, np.float32)
        picks, penalties = np.full((ranks, count), -1, np.int64), np.zeros((ranks, count))
        total, new = np.empty_like(like), np.empty_like(like)
        if penalty is not None:
            self.slack += (16 * UNIT * penalty.largest).astype(np.float32)
        varied, rows = self.half.any(), self.vectors.reshape(-1, self.vectors.shape[2])
        for rank in range(ranks):
            np.subtract(self.level, np.multiply(like, self.half, out=total), out=total)
            now = None if penalty is None else penalty.costs()
            if now is not None:
                np.subtract(total, now, out=total, casting="same_kind")
            best, found = places.at(rank, *self._best(total, picks[:rank], now))
            if not np.count_nonzero(found):
                if places.pinned is None:
                    break
                continue
            picks[rank] = np.where(found, best, -1)
            places.take(rank, best, found)
            if now is not None:
                penalties[rank] = now[self._users, best]
                penalty.take(best, found)
            if varied and rank + 1 < ranks:
                # a user without a pick has nothing left to choose but pins, so it doesn't matter what is added
                np.matvec(self.vectors, rows.take(self._starts + best, axis=0), out=new)
                like = new.copy() if rank == 0 else np.maximum(like, new, out=like)
        return picks.T, penalties.T

    def _best(
        self, total: np.ndarray, above: np.ndarray, penalties: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The candidate with the largest total, int64 [n], and whether there is one.

        Where rough totals lie too close, exact ones decide.
        """
        best = total.argmax(axis=1)
        highest = total.take(self._starts + best)
        live = highest > -np.inf
        alive, floor = np.count_nonzero(live), highest - self.slack
        if alive < len(live):
            floor[~live] = np.inf
        near = total >= floor[:, None]
        if np.count_nonzero(near) > alive:
            for user in np.flatnonzero(np.count_nonzero(near, axis=1) > 1):
                close = np.flatnonzero(near[user])
                exact = self.base[user, close] + self.strength[user] * self._unlike(user, above[:, user])[close] / 2
                if penalties is not None:
                    exact -= penalties[user, close]
                best[user] = close[exact.argmax()]
        return best, live

    def _unlike(self, user: int, above: np.ndarray) -> np.ndarray:
        """float64 [c]: 1 - the largest exact cosine of each candidate to those above."""
        if not len(above):
            return np.ones(self.base.shape[1])
        if user not in self._exact:
            self._exact[user] = on_grid(self.vectors[user]), np.full(self.base.shape[1], -np.inf), 0
        vectors, like, seen = self._exact[user]
        if len(above) > seen:
            like = np.maximum(like, (vectors @ vectors[above[seen:]].T).max(axis=1))
            self._exact[user] = vectors, like, len(above)
        return (1 - like).clip(0, 2)


def check_scores(base: np.ndarray, vectors: np.ndarray, name: str, trade: np.ndarray) -> None:
    """Raises ValueError if base, vectors or what trades the one for the other, called ``name``, don't fit."""
    if base.ndim != 2 or vectors.shape[:2] != base.shape or vectors.ndim != 3 or trade.shape != base.shape[:1]:
        raise ValueError(
            f"base is {base.shape}, vectors {vectors.shape} and {name} {trade.shape}; they must be [n, c], [n, c, d] "
            "and [n]"
        )
    require_finite("base", np.where(base == -np.inf, 0.0, base))
    require_finite(name, trade)
    if (trade < 0).any():
        user = int(np.argmax(trade < 0))
        raise ValueError(f"{name}[{user}] is {trade[user]}; it must not be negative")
    large = np.isfinite(base) & (np.abs(base) > LARGEST)
    if large.any():
        place = tuple(int(axis) for axis in np.argwhere(large)[0])
        raise ValueError(f"base{list(place)} is {base[place]}; it must lie between +-{LARGEST:g}: scale the scores")
