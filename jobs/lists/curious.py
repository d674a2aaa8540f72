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
) -> tuple[Blend, Explored]:
    """The lists with some places of their lower half explored, by the terms of ``schemas.objectives.EXPLORING``.

    Args:
        lists: of n users.
        held: their candidates under the rules: what is refused, pinned or at its limit is not tried.
        means: float64 [n, c], how likely the user is to take a candidate.
        seen: float64 [n, c], how often the candidate was taken of late: the more, the less there is to learn.
        arrived: bool [n, c], whether it is new: a part of the places is for these.
        vectors: float32 [n, c, d], of unit length or zero.
        willing: bool [n].
        draws: float64 [n, 3], uniform, the user's own of the night.
        surface: whose lists.
    """
    free = np.zeros(lists.picks.shape, bool)
    free[:, surface.length // 2 :] = True
    free &= willing[:, None] & (lists.picks >= 0) & ~_among(lists.picks, held.pinned)
    parts = [_waiting(lists, held, means, seen, mine) for mine in (~arrived, arrived)]
    pool = np.concatenate([pool for pool, _ in parts], axis=1)
    found = explored(lists.picks, pool, _shared(*(shares for _, shares in parts)), free, EXPLORING.budget, draws)
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


def _waiting(
    lists: Blend, held: Ruled, means: np.ndarray, seen: np.ndarray, mine: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """int64 [n, p], those of ``mine`` with the highest upper bounds that may be listed and are not, -1 for padding; and
    float64 [n, p], the probability that each is the one to try.
    """
    open_ = held.allowed & mine
    rows, places = np.nonzero(lists.picks >= 0)
    open_[rows, lists.picks[rows, places]] = False
    for limit in held.limits:
        listed = np.where(lists.picks >= 0, np.take_along_axis(limit.groups, lists.picks.clip(0), axis=1), -2)
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
