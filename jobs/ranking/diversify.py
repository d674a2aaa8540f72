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
from jobs.ranking.shortlist import RANKS, SIZE, Shortlists
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
    read = 1.0 if calibration is not None else 1 / 4  # without a penalty most ranks read a shortlist: more users fit
    for rows in blocks(strength > 0, vectors.shape, read):
        block = _Block(base[rows], vectors[rows], strength[rows].astype(np.float64))
        places = Places(
            block.level, [limit.of(rows) for limit in limits], None if pinned is None else pinned[rows], ranks
        )
        term = None if calibration is None else Penalty(calibration.of(rows))
        picks[rows], penalties[rows] = without_gaps(*block.lists(places, term, ranks))
        diversity[rows] = diversity_of(picks[rows], block.vectors)
    return scored(base, strength, picks, penalties, diversity, min(length, base.shape[1]))


def blocks(apart: np.ndarray, shape: tuple[int, int, int], read: float) -> Iterator[np.ndarray | slice]:
    """Users who fit in the cache together, those who are ``apart`` (bool [n]) not with the others.

    Args:
        shape: of their vectors, float32.
        read: the part of these that most ranks read.
    """
    users = max(1, int(CACHED / max(4 * read * shape[1] * shape[2], 1)))
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
    """The greedy choice for a few users: base float64 [n, c], vectors float32 [n, c, d], strength float64 [n].

    From the second rank on a total only falls, so most ranks look at a shortlist alone; a penalty may fall, and with it
    they look at everything.
    """

    def __init__(self, base: np.ndarray, vectors: np.ndarray, strength: np.ndarray):
        self.base, self.vectors, self.strength = base, vectors, strength
        self.half = (strength / 2).astype(np.float32)[:, None]
        self.level = (base + strength[:, None] / 2).astype(np.float32)
        highest = np.where(np.isfinite(base), np.abs(base), 0.0).max(axis=1, initial=0.0) + strength
        # base, strength, their product with a cosine, two differences and the floor are rounded; a penalty comes on top
        self.slack = strength * rough_error(squared_lengths(vectors), vectors.shape[2]) + 16 * UNIT * highest
        self.slack = self.slack.astype(np.float32)
        self._users, self._starts = np.arange(len(base)), np.arange(len(base)) * base.shape[1]
        self._like = np.full(base.shape, -np.inf, np.float32)  # the largest rough cosine, as at rank ``seen``
        self._seen = np.zeros(len(base), np.int64)
        self._exact: dict[int, tuple[np.ndarray, np.ndarray, int]] = {}

    def lists(self, places: Places, penalty: Penalty | None, ranks: int) -> tuple[np.ndarray, np.ndarray]:
        """Picks int64 [n, ranks] and the penalties float64 [n, ranks] at the moment of the choice."""
        picks, penalties = np.full((ranks, len(self.base)), -1, np.int64), np.zeros((ranks, len(self.base)))
        if penalty is not None:
            self.slack += (16 * UNIT * penalty.largest).astype(np.float32)
        varied = self.half.any()
        whole = penalty is not None or not varied or self.base.shape[1] <= SIZE
        self._open()
        for rank in range(ranks):
            if rank % RANKS == 1 and rank + 1 < ranks and not whole:
                self._shorten(places, picks, rank)
            total = self.level.take(self._flat) - self.half * self._near_like
            now = None if penalty is None else penalty.costs()
            if now is not None:
                np.subtract(total, now, out=total, casting="same_kind")
            best, found = places.at(rank, *self._best(total, places, picks, now, rank))
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
                new = np.matvec(self._near, self.vectors[self._users, best])
                self._near_like = new if rank == 0 else np.maximum(self._near_like, new, out=self._near_like)
        return picks.T, penalties.T

    def _open(self) -> None:
        """Everything is near, and like nothing."""
        self._short, self._near = Shortlists(self.level, self.level.shape[1]), self.vectors
        self._flat = self._starts[:, None] + self._short.places
        self._near_like = np.zeros(self.base.shape, np.float32)

    def _shorten(self, places: Places, picks: np.ndarray, rank: int) -> None:
        """Makes all shortlists anew."""
        self._short = Shortlists(self._look(places, self._users, picks, rank))
        self._flat = self._starts[:, None] + self._short.places
        self._near = self.vectors.reshape(-1, self.vectors.shape[2]).take(self._flat, axis=0)
        self._near_like = self._like.take(self._flat)

    def _renew(self, users: np.ndarray, whole: np.ndarray) -> None:
        """Makes those of some users anew, whose totals are float32 [u, c]."""
        self._short.renew(users, whole)
        self._flat[users] = self._starts[users, None] + self._short.places[users]
        self._near[users] = self.vectors[users[:, None], self._short.places[users]]
        self._near_like[users] = self._like.take(self._flat[users])

    def _look(self, places: Places, users: np.ndarray, picks: np.ndarray, rank: int) -> np.ndarray:
        """float32 [u, c], the rough totals of all candidates of some users, brought up to the rank."""
        for first in np.unique(self._seen[users]):
            late = users[self._seen[users] == first]
            rows = slice(None) if len(late) == len(self._users) else late  # a slice needs no copy
            chosen = self.vectors[late[:, None], picks[first:rank, late].T]
            cosines = np.matmul(self.vectors[rows], np.ascontiguousarray(chosen.swapaxes(1, 2)))
            for each in range(rank - first):
                self._like[rows] = np.maximum(self._like[rows], cosines[:, :, each])
        self._seen[users] = rank
        return places.level[users] - self.half[users] * self._like[users]

    def _best(
        self, total: np.ndarray, places: Places, picks: np.ndarray, penalties: np.ndarray | None, rank: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The candidate with the largest total, int64 [n], and whether there is one.

        Where rough totals lie too close, exact ones decide; where those of others could, all are looked at.
        """
        first = total.argmax(axis=1)
        highest, best = total[self._users, first], self._short.places[self._users, first]
        floor, live = highest - self.slack, highest > -np.inf
        dry = np.flatnonzero((self._short.bound >= floor) & (self._short.bound > -np.inf))
        floor[~live] = np.inf
        floor[dry] = np.inf
        near, tied = total >= floor[:, None], []
        if np.count_nonzero(near) > np.count_nonzero(floor < np.inf):
            rows = np.flatnonzero(np.count_nonzero(near, axis=1) > 1)
            tied = [(user, self._short.places[user, near[user]]) for user in rows]
        if len(dry):
            whole = self._look(places, dry, picks, rank)
            best[dry], highest = whole.argmax(axis=1), whole.max(axis=1)
            live[dry] = highest > -np.inf
            near = (whole >= (highest - self.slack[dry])[:, None]) & live[dry, None]
            tied += [(user, np.flatnonzero(each)) for user, each in zip(dry, near, strict=True)]
            self._renew(dry, whole)
        for user, close in tied:
            if len(close) > 1:
                best[user] = self._decided(user, close, picks[:rank, user], penalties)
        return best, live

    def _decided(self, user: int, close: np.ndarray, above: np.ndarray, penalties: np.ndarray | None) -> int:
        """Of a user's candidates ``close``, in rising order, the one with the largest exact total."""
        exact = self.base[user, close] + self.strength[user] * self._unlike(user, above)[close] / 2
        if penalties is not None:
            exact -= penalties[user, close]
        return int(close[exact.argmax()])

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
