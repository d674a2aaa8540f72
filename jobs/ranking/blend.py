"""One list from several objectives: a weighted sum of scaled values, chosen greedily for diversity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jobs.ranking.places import Limits
from jobs.ranking.rerank import Reranking, Tastes, reranked
from jobs.ranking.topk import require_finite
from jobs.ranking.values import SHOPPER, Scale


@dataclass(frozen=True)
class Blend:
    """The lists of n users, each of at most k items.

    Args:
        picks: int64 [n, k], positions among the user's candidates, best first; -1 past the end of a short list.
        scores: float64 [n, k], the blended value at the moment of the choice; about 1 for the best items.
        diversity: float64 [n, k], in [0, 2]: 1 - the largest cosine to an item above; 1 for the first.
        weights: per objective, float64 [n]: the weights used for the user; they sum to 1.
        base: float64 [n, c], the blended value of each candidate before diversity; -inf for padding.
    """

    picks: np.ndarray
    scores: np.ndarray
    diversity: np.ndarray
    weights: dict[str, np.ndarray]
    base: np.ndarray


def blend(
    objectives: Mapping[str, np.ma.MaskedArray],
    vectors: np.ndarray,
    candidates: np.ndarray,
    weights: Mapping[str, float | np.ndarray],
    length: int,
    *,
    scales: Mapping[str, Scale],
    bump: np.ndarray | None = None,
    limits: Sequence[Limits] = (),
    pinned: np.ndarray | None = None,
    how: Reranking | None = None,
    tastes: Tastes | None = None,
) -> Blend:
    """Greedy choice of ``length`` items a user by ``sum of weight x scaled value + weight x diversity / 2``.

    The choice is :func:`jobs.ranking.rerank.reranked`'s; without ``how`` the diversity is moved from [0, 2] to [0, 1]
    as the other objectives are. Equal scores go to the candidate that stands first.

    Args:
        objectives: by name, float64 [n, c], not negative, higher is better; masked where the value is not known. An
            unknown value counts as 0. Where a user has none at all, the objective's weight goes to the others in
            proportion.
        vectors: float32 [n, c, d], of unit length or zero; their inner products are the cosines.
        candidates: bool [n, c], False for padding.
        weights: one for each objective and one for ``diversity``, for everybody or float64 [n]; not negative, and each
            user's sum to 1.
        length: items of a full list.
        scales: by objective, the same for all users: so one user's list gives up for another's gain what it can best.
        bump: float64 [n, c], added to the blended value, before diversity.
        limits, pinned, how, tastes: as of reranked.

    Raises:
        ValueError: if a known value or a vector is not finite, or the weights, the limits or the pins don't fit.
    """
    given = _per_user(weights, len(candidates))
    _check(objectives, candidates, given, scales, bump)
    known = {name: candidates & ~np.ma.getmaskarray(values) for name, values in objectives.items()}
    plain = {name: np.where(known[name], np.ma.getdata(values), 0.0) for name, values in objectives.items()}
    for name, values in plain.items():
        require_finite(name, values)
    used = _weights_used(given, {name: mask.any(axis=1) for name, mask in known.items()})
    base = np.where(candidates, 0.0, -np.inf)
    for name, values in plain.items():
        base += used[name][:, None] * scales[name].of_known(values)
    if bump is not None:
        base += np.where(candidates, bump, 0.0)
    lists = reranked(base, vectors, used["diversity"], length, how, tastes, limits=limits, pinned=pinned)
    return Blend(lists.picks, lists.scores, lists.diversity, used, base)


def unit(vectors: np.ndarray) -> np.ndarray:
    """float32 [m, d] scaled to length 1 along the last axis; a zero vector stays zero."""
    lengths = np.sqrt(np.einsum("...d,...d->...", vectors, vectors, dtype=np.float64))[..., None]
    return np.divide(vectors, lengths, out=np.zeros(vectors.shape), where=lengths > 0).astype(np.float32)


def _per_user(weights: Mapping[str, float | np.ndarray], users: int) -> dict[str, np.ndarray]:
    """Each weight as float64 [n]."""
    for name, weight in weights.items():
        if np.shape(weight) not in ((), (users,)):
            raise ValueError(f"the weight of {name} is {np.shape(weight)}; it must be a number or ({users},)")
    return {name: np.broadcast_to(np.asarray(weight, np.float64), users) for name, weight in weights.items()}


def _weights_used(weights: dict[str, np.ndarray], supported: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights per user: 0 for an objective without a value.

    That of one of SHOPPER goes to the other, so that what the shopper wants counts as much as ever; the rest is raised
    in proportion to sum to 1.
    """
    if set(SHOPPER) <= set(weights) & set(supported):
        weights = weights | {
            name: weights[name] + np.where(supported[name] & ~supported[other], weights[other], 0.0)
            for name, other in (SHOPPER, SHOPPER[::-1])
        }
    kept = {name: np.where(supported.get(name, True), weight, 0.0) for name, weight in weights.items()}
    total = sum(kept.values())
    if not np.all(total > 0):
        user = int(np.argmin(total > 0))
        told = {name: float(weight[user]) for name, weight in weights.items()}
        raise ValueError(f"weights {told} of user {user}: no objective with a weight has a value")
    return {name: weight / total for name, weight in kept.items()}


def _check(
    objectives: Mapping[str, np.ma.MaskedArray],
    candidates: np.ndarray,
    weights: dict[str, np.ndarray],
    scales: Mapping[str, Scale],
    bump: np.ndarray | None,
) -> None:
    if set(weights) != {*objectives, "diversity"}:
        raise ValueError(f"weights are for {sorted(weights)}; they must be for {sorted({*objectives, 'diversity'})}")
    if absent := objectives.keys() - scales.keys():
        raise ValueError(f"no scale for {', '.join(sorted(absent))}; there are: {', '.join(scales)}")
    lowest, total = np.minimum.reduce(list(weights.values())), sum(weights.values())
    wrong = ~((lowest >= 0) & (np.abs(total - 1) <= 1e-9))
    if wrong.any():
        user = int(np.argmax(wrong))
        told = {name: float(weight[user]) for name, weight in weights.items()}
        raise ValueError(f"weights {told} of user {user} must not be negative and must sum to 1")
    for name, values in objectives.items():
        if values.shape != candidates.shape:
            raise ValueError(f"{name} is {values.shape}, but candidates are {candidates.shape}")
    if bump is not None:
        if bump.shape != candidates.shape:
            raise ValueError(f"bump is {bump.shape}, but candidates are {candidates.shape}")
        require_finite("bump", np.where(candidates, bump, 0.0))
