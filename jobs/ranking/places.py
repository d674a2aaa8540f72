"""The places of a list: how many of one group may stand in it, and which candidates stand where they are told to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Limits:
    """At most so many items of one group in a list; groups are brands, say, or categories.

    Args:
        groups: int64 [n, c], the group of each candidate; -1 belongs to none.
        most: int, or int64 [n]: items of one group in a user's list.
    """

    groups: np.ndarray
    most: np.ndarray | int

    def of(self, rows: np.ndarray | slice) -> "Limits":
        """The limits of some users."""
        most = self.most if np.ndim(self.most) == 0 else np.asarray(self.most)[rows]
        return Limits(self.groups[rows], most)


class Places:
    """Which candidates of n users may still be chosen, while their lists grow rank by rank.

    Args:
        level: float [n, c]; changed in place: -inf from the moment on that a candidate may no longer be chosen.
        limits: any number of them. What is pinned takes its places from the start, so that a limit is only broken
            where more of a group are pinned than it allows.
        pinned: int64 [n, length], -1 where nothing is.
        length: ranks of a list.
    """

    def __init__(self, level: np.ndarray, limits: Sequence[Limits], pinned: np.ndarray | None, length: int):
        self.level, self.pinned = level, pinned
        self._users = np.arange(len(level))
        self._limits = [(_narrow(limit.groups), np.broadcast_to(limit.most, len(level))) for limit in limits]
        self._taken = [np.full((length, len(level)), -1, groups.dtype) for groups, _ in self._limits]
        for groups, most in self._limits:
            level[(groups >= 0) & (most < 1)[:, None]] = -np.inf
        for rank in range(length if pinned is not None else 0):
            self.take(rank, pinned[:, rank], pinned[:, rank] >= 0)

    def at(self, rank: int, best: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The candidate of each user at this rank, int64 [n], and whether there is one: the pinned, else the best."""
        if self.pinned is None:
            return best, live
        pin = self.pinned[:, rank]
        return np.where(pin >= 0, pin, best), live | (pin >= 0)

    def take(self, rank: int, picks: np.ndarray, found: np.ndarray) -> None:
        """Closes what was picked where found, and the groups that are full with it."""
        # all of them as a rule: a slice is read in place
        rows = slice(None) if np.count_nonzero(found) == len(found) else np.flatnonzero(found)
        users, picks = self._users[rows], picks[rows]
        self.level[users, picks] = -np.inf
        for (groups, most), taken in zip(self._limits, self._taken, strict=True):
            group = groups[users, picks]
            taken[rank, rows] = group
            full = (taken[:, rows] == group).sum(axis=0, dtype=np.int16) >= most[rows]
            full &= group >= 0
            if np.count_nonzero(full):
                closed = users[full]
                self.level[closed] = np.where(groups[closed] == group[full, None], -np.inf, self.level[closed])


def _narrow(groups: np.ndarray) -> np.ndarray:
    """The groups in 32 bits if they fit: they are compared at half the price."""
    return groups.astype(np.int32) if groups.max(initial=0) < 2**31 and groups.min(initial=0) >= -(2**31) else groups


def without_gaps(picks: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Lists [n, k] in which what was pinned further down than a user's candidates reach moves up behind the rest."""
    if ((picks[:, :-1] < 0) & (picks[:, 1:] >= 0)).any():
        order = np.argsort(picks < 0, axis=1, kind="stable")
        return [np.take_along_axis(each, order, axis=1) for each in (picks, *others)]
    return [picks, *others]


def check_places(base: np.ndarray, limits: Sequence[Limits], pinned: np.ndarray | None, length: int) -> None:
    """Raises ValueError if limits or pins don't fit base [n, c] and the length of a list."""
    if length < 1:
        raise ValueError(f"length is {length}; a list has at least one place")
    for place, limit in enumerate(limits):
        if limit.groups.shape != base.shape or np.shape(limit.most) not in ((), base.shape[:1]):
            raise ValueError(
                f"limits[{place}] has groups {limit.groups.shape} and most {np.shape(limit.most)}; they must be "
                f"{base.shape}, and a number or {base.shape[:1]}"
            )
    if pinned is not None:
        _check_pins(base, pinned, length)


def _check_pins(base: np.ndarray, pinned: np.ndarray, length: int) -> None:
    if pinned.shape != (len(base), length):
        raise ValueError(f"pinned is {pinned.shape}; it must be {(len(base), length)}, -1 where nothing is pinned")
    users, ranks = np.nonzero(pinned >= 0)
    for user, rank in zip(users.tolist(), ranks.tolist(), strict=True):
        pin = int(pinned[user, rank])
        if pin >= base.shape[1] or base[user, pin] == -np.inf:
            raise ValueError(f"pinned[{user}, {rank}] is {pin}, which is no candidate of that user: pin one that is")
        if (pinned[user, :rank] == pin).any():
            raise ValueError(f"pinned[{user}, {rank}] is {pin}, which is pinned further up already: pin it once")
