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
    vectors: np.ndarray,
    willing: np.ndarray,
    draws: np.ndarray,
    surface: Surface,
) -> tuple[Blend, Explored]:
    """The lists with some places of their lower half explored, by the terms of ``schemas.objectives.EXPLORING``.

    Args:
        lists: of n users.
        held: their candidates under the rules: what is refused, pinned or at its limit is not tried.
        means: float64 [n, c], how likely the user is to take a candidate.
        seen: float64 [n, c], how often the candidate was taken of late: the more, the less there is to learn.
        vectors: float32 [n, c, d], of unit length or zero.
        willing: bool [n].
        draws: float64 [n, 3], uniform, the user's own of the night.
        surface: whose lists.
    """
    free = np.zeros(lists.picks.shape, bool)
    free[:, surface.length // 2 :] = True
    free &= willing[:, None] & (lists.picks >= 0) & ~_among(lists.picks, held.pinned)
    pool = _pool(lists, held, means, seen)
    there = pool >= 0
    told = [np.take_along_axis(each, pool.clip(0), axis=1) for each in (means, seen)]
    shares = WAYS[EXPLORING.way](told[0], spread(*told, EXPLORING.prior), there)
    found = explored(lists.picks, pool, shares, free, EXPLORING.budget, draws)
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


def _pool(lists: Blend, held: Ruled, means: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """int64 [n, p]: the candidates with the highest upper bounds that may be listed and are not; -1 for padding."""
    open_ = held.allowed.copy()
    rows, places = np.nonzero(lists.picks >= 0)
    open_[rows, lists.picks[rows, places]] = False
    for limit in held.limits:
        listed = np.where(lists.picks >= 0, np.take_along_axis(limit.groups, lists.picks.clip(0), axis=1), -2)
        counts = (limit.groups[:, :, None] == listed[:, None, :]).sum(axis=2)
        most = np.broadcast_to(limit.most, len(counts))[:, None]
        open_ &= (limit.groups < 0) | (counts < most)
    bounds = np.where(open_, means + spread(means, seen, EXPLORING.prior), -np.inf)
    width = min(EXPLORING.pool, bounds.shape[1])
    best = np.argsort(-bounds, axis=1, kind="stable")[:, :width]
    return np.where(np.take_along_axis(open_, best, axis=1), best, -1)


def _among(picks: np.ndarray, pinned: np.ndarray) -> np.ndarray:
    """bool [n, k]: whether a pick is one of the user's pins."""
    return ((picks[:, :, None] == pinned[:, None, :]) & (pinned >= 0)[:, None, :]).any(axis=2)
