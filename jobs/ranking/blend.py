"""One list from several objectives: a weighted sum of per-user scaled values, chosen greedily for diversity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jobs.ranking.diversify import Limits
from jobs.ranking.topk import require_finite


@dataclass(frozen=True)
class Blend:
    """The lists of n users, each of at most k items.

    Args:
        picks: int64 [n, k], positions among the user's candidates, best first; -1 past the end of a short list.
        scores: float64 [n, k], in [0, 1] plus the bump; the blended value at the moment of the choice.
        diversity: float64 [n, k], in [0, 2]: 1 - the largest cosine to an item above; 1 for the first.
        weights: per objective, float64 [n]: the weights used for the user; they sum to 1.
    """

    picks: np.ndarray
    scores: np.ndarray
    diversity: np.ndarray
    weights: dict[str, np.ndarray]


def blend(
    objectives: Mapping[str, np.ma.MaskedArray],
    vectors: np.ndarray,
    candidates: np.ndarray,
    weights: Mapping[str, float | np.ndarray],
    length: int,
    *,
    bump: np.ndarray | None = None,
    limits: Sequence[Limits] = (),
    pinned: np.ndarray | None = None,
) -> Blend:
    """Greedy choice of ``length`` items a user by ``sum of weight x scaled value + weight x diversity / 2``.

    The diversity term is the one of maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998), moved from
    [0, 2] to [0, 1] as the other objectives are. Equal scores go to the candidate that stands first.

    Args:
        objectives: by name, float64 [n, c], higher is better; masked where the value is not known. An unknown value
            counts as the user's lowest. Where a user has none at all, the objective's weight goes to the others in
            proportion.
        vectors: float32 [n, c, d], of unit length or zero; their inner products are the cosines.
        candidates: bool [n, c], False for padding.
        weights: one for each objective and one for ``diversity``, of all users or float64 [n]; not negative, and they
            sum to 1.
        length: items of a full list.
        bump: float64 [n, c], added to the score.
        limits: of groups. A pinned item counts, from the first rank on, and isn't refused.
        pinned: int64 [n, length], the candidate that stands at each rank, and nowhere else; -1 for none. Without
            enough candidates above it, it stands higher.

    Raises:
        ValueError: if a known value or a vector is not finite, or the weights don't fit.
    """
    _check(objectives, vectors, candidates, weights)
    known = {name: candidates & ~np.ma.getmaskarray(values) for name, values in objectives.items()}
    used = _weights_used(weights, {name: mask.any(axis=1) for name, mask in known.items()}, len(candidates))
    base = np.where(candidates, 0.0, -np.inf)
    for name, values in objectives.items():
        base += used[name][:, None] * scaled(np.ma.getdata(values), known[name])

    if bump is not None:
        base += np.where(candidates, bump, 0.0)
    return _greedy(base, vectors, used, min(length, candidates.shape[1]), limits, pinned)


def _greedy(
    base: np.ndarray,
    vectors: np.ndarray,
    used: dict[str, np.ndarray],
    width: int,
    limits: Sequence[Limits],
    pinned: np.ndarray | None,
) -> Blend:
    users = np.arange(len(base))
    pins = np.full((len(users), width), -1, np.int64) if pinned is None else pinned[:, :width]
    picks = np.full((len(users), width), -1, np.int64)
    scores, diversity = np.zeros(picks.shape), np.ones(picks.shape)
    unlike, free = np.ones(base.shape), np.isfinite(base)
    taken = [np.zeros(base.shape, np.int64) for _ in limits]
    for column in pins.T:
        free[users[column >= 0], column[column >= 0]] = False
        _count(limits, taken, users[column >= 0], column[column >= 0])
    for rank in range(width):
        total = base + used["diversity"][:, None] * unlike / 2
        open_ = np.where(free & _within(limits, taken), total, -np.inf)
        best = np.where(pins[:, rank] >= 0, pins[:, rank], open_.argmax(axis=1))
        found = (pins[:, rank] >= 0) | np.isfinite(open_[users, best])
        picks[found, rank] = best[found]
        scores[found, rank] = total[users, best][found]
        diversity[found, rank] = unlike[users, best][found]
        chosen = found & (pins[:, rank] < 0)
        free[users, best] = False
        _count(limits, taken, users[chosen], best[chosen])
        # einsum and not BLAS: a row's cosine must not depend on how many rows there are
        to_best = 1 - np.einsum("ncd,nd->nc", vectors, vectors[users, best]).astype(np.float64)
        nearer = to_best if rank == 0 else np.minimum(unlike, to_best)
        unlike = np.where(found[:, None], nearer, unlike).clip(0, 2)
    return Blend(picks, scores, diversity, used)


def _count(limits: Sequence[Limits], taken: list[np.ndarray], users: np.ndarray, picks: np.ndarray) -> None:
    for limit, each in zip(limits, taken, strict=True):
        group = limit.groups[users, picks]
        each[users] += (limit.groups[users] == group[:, None]) & (group >= 0)[:, None]


def _within(limits: Sequence[Limits], taken: list[np.ndarray]) -> np.ndarray | bool:
    inside: np.ndarray | bool = True
    for limit, each in zip(limits, taken, strict=True):
        most = np.broadcast_to(limit.most, len(each))[:, None]
        inside = inside & ((limit.groups < 0) | (each < most))
    return inside


def scaled(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Each row's known values from its lowest to its highest as 0 to 1; unknown ones, and rows without range, are 0."""
    low = np.where(known, values, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    high = np.where(known, values, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    ranges = np.broadcast_to(high > low, known.shape) & known
    return np.divide(values - low, high - low, out=np.zeros(known.shape), where=ranges)


def unit(vectors: np.ndarray) -> np.ndarray:
    """float32 [m, d] scaled to length 1 along the last axis; a zero vector stays zero."""
    lengths = np.sqrt(np.einsum("...d,...d->...", vectors, vectors, dtype=np.float64))[..., None]
    return np.divide(vectors, lengths, out=np.zeros(vectors.shape), where=lengths > 0).astype(np.float32)


def _weights_used(
    weights: Mapping[str, float | np.ndarray], supported: dict[str, np.ndarray], users: int
) -> dict[str, np.ndarray]:
    """The weights per user: 0 for an objective without a value, the rest raised in proportion to sum to 1."""
    kept = {name: np.where(supported.get(name, True), weight, 0.0) * np.ones(users) for name, weight in weights.items()}
    total = sum(kept.values())
    if not np.all(total > 0):
        raise ValueError(f"weights {dict(weights)}: no objective with a weight has a value for every user")
    return {name: weight / total for name, weight in kept.items()}


def _check(
    objectives: Mapping[str, np.ma.MaskedArray],
    vectors: np.ndarray,
    candidates: np.ndarray,
    weights: Mapping[str, float | np.ndarray],
) -> None:
    if set(weights) != {*objectives, "diversity"}:
        raise ValueError(f"weights are for {sorted(weights)}; they must be for {sorted({*objectives, 'diversity'})}")
    if np.min(list(map(np.min, weights.values()))) < 0 or np.max(np.abs(sum(weights.values()) - 1)) > 1e-9:
        raise ValueError(f"weights {dict(weights)} must not be negative and must sum to 1")
    require_finite("vectors", vectors)
    for name, values in objectives.items():
        if values.shape != candidates.shape:
            raise ValueError(f"{name} is {values.shape}, but candidates are {candidates.shape}")
        require_finite(name, np.where(np.ma.getmaskarray(values) | ~candidates, 0.0, np.ma.getdata(values)))
