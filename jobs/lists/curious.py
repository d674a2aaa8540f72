"""Exploration of a batch of lists: which places may be explored by whom, which items wait for it, and the draws."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from jobs.ranking.blend import Blend
from jobs.ranking.diversify import diversity_of
from jobs.ranking.explore import WAYS, Explored, explored, spread
from jobs.ranking.rules import Ruled
from schemas.lists import Surface
from schemas.objectives import EXPLORING

LEARNING = "Shown to a few shoppers to learn who likes it."


def curious(
    lists: Blend,
    held: Ruled,
    means: np.ndarray,
    seen: np.ndarray,
    arrived: np.ndarray,
    vectors: np.ndarray,
    willing: np.ndarray,
    draws: np.ndarray,
    surface: Surface,
    budget: float = EXPLORING.budget,
) -> tuple[Blend, Explored]:
    """The lists with some places of their lower half explored, by the terms of ``schemas.objectives.EXPLORING``.

    An explored item's score is its blended value with its diversity as MMR counts it, whatever ordered the list.

    Args:
        lists: of n users.
        held: their candidates under the rules: what is refused, buried, pinned or at its limit is not tried.
        means: float64 [n, c], how likely the user is to take a candidate.
        seen: float64 [n, c], how often the candidate was taken of late: the more, the less there is to learn.
        arrived: bool [n, c], whether it is new: a part of the places is for these.
        vectors: float32 [n, c, d], of unit length or zero.
        willing: bool [n].
        draws: float64 [n, 3], uniform, the user's own of the night.
        surface: whose lists.
        budget: expected places a list.
    """
    free = willing[:, None] & lower(lists.picks, held, surface.length)
    found = explored(lists.picks, *waiting(lists.picks, held, means, seen, arrived), free, budget, draws)
    rows = np.flatnonzero(found.tried.any(axis=1))
    diversity, scores = lists.diversity.copy(), lists.scores.copy()
    diversity[rows] = diversity_of(found.picks[rows], vectors[rows])
    at = (rows, found.tried[rows].argmax(axis=1))
    scores[at] = lists.base[rows, found.picks[at]] + lists.weights["diversity"][rows] * diversity[at] / 2
    return replace(lists, picks=found.picks, diversity=diversity, scores=scores), found


def draws(users: Sequence[str], surface: Surface, day: date) -> np.ndarray:
    """float64 [n, 3], uniform in [0, 1): the same for a user, surface and night on every run and machine."""
    told = b"".join(
        hashlib.blake2b(f"{day}\x1f{surface.name}\x1f{user}".encode(), digest_size=24).digest() for user in users
    )
    return (np.frombuffer(told, "<u8").reshape(-1, 3) >> np.uint64(11)) * 2.0**-53


def lower(picks: np.ndarray, held: Ruled, length: int) -> np.ndarray:
    """bool [n, k]: places of the lower half of lists int64 [n, k] that hold an item which nobody pinned there."""
    free = np.zeros(picks.shape, bool)
    free[:, length // 2 :] = True
    return free & (picks >= 0) & ~_among(picks, held.pinned)


def waiting(
    picks: np.ndarray, held: Ruled, means: np.ndarray, seen: np.ndarray, arrived: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Beside lists int64 [n, k]: int64 [n, p], what may be tried, -1 for padding, and float64 [n, p], the probability
    that each is what an explored place goes to. The other arguments are those of :func:`curious`.
    """
    parts = [_waiting(picks, held, means, seen, mine) for mine in (~arrived, arrived)]
    return np.concatenate([pool for pool, _ in parts], axis=1), _shared(*(shares for _, shares in parts))


def _waiting(
    picks: np.ndarray, held: Ruled, means: np.ndarray, seen: np.ndarray, mine: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """int64 [n, p], those of ``mine`` with the highest upper bounds that may be listed and are not, -1 for padding; and
    float64 [n, p], the probability that each is the one to try.

    Nothing that a rule or a wish buried is tried: that is why it is not in the list.
    """
    open_ = held.allowed & mine & (held.bump >= 0)
    rows, places = np.nonzero(picks >= 0)
    open_[rows, picks[rows, places]] = False
    for limit in held.limits:
        listed = np.where(picks >= 0, np.take_along_axis(limit.groups, picks.clip(0), axis=1), -2)
        counts = (limit.groups[:, :, None] == listed[:, None, :]).sum(axis=2)
        most = np.broadcast_to(limit.most, len(counts))[:, None]
        open_ &= (limit.groups < 0) | (counts < most)
    bounds = np.where(open_, means + spread(means, seen, EXPLORING.prior), -np.inf)
    best = np.argsort(-bounds, axis=1, kind="stable")[:, : EXPLORING.pool]
    there = np.take_along_axis(open_, best, axis=1)
    told = [np.take_along_axis(each, best, axis=1) for each in (means, seen)]
    shares = WAYS[EXPLORING.way](told[0], spread(*told, EXPLORING.prior), there)
    return np.where(there, best, -1), shares


def _shared(known: np.ndarray, new: np.ndarray) -> np.ndarray:
    """float64 [n, 2 p]: of both pools, each with its part of the places; all is for the other where one is empty."""
    part = np.where(new.any(axis=1), np.where(known.any(axis=1), EXPLORING.arrivals, 1.0), 0.0)[:, None]
    return np.concatenate([(1 - part) * known, part * new], axis=1)


def _among(picks: np.ndarray, pinned: np.ndarray) -> np.ndarray:
    """bool [n, k]: whether a pick is one of the user's pins."""
    return ((picks[:, :, None] == pinned[:, None, :]) & (pinned >= 0)[:, None, :]).any(axis=2)
