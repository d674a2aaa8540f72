"""What lists would have earned: policies tried on days that are over, by what the users then did."""

from dataclasses import dataclass

import numpy as np

from jobs.ranking.rerank import NEUTRAL, Reranking, Tastes, reranked
from jobs.ranking.topk import require_finite

USERS_AT_ONCE = 32  # their candidates' vectors stay in the processor's cache while all policies choose


@dataclass(frozen=True)
class Trial:
    """Users with the candidates that they had, and what they then took.

    Args:
        values: by objective, float64 [n, c], scaled; 0 where unknown.
        units: float32 [items, d], of unit length or zero.
        positions: int64 [n, c], items of the candidates; -1 for padding.
        taken: bool [n, c], whether the user then took it.
        paid: float64 [n, c], money that the user then paid for it, 0 for nothing.
        relevant: int64 [n], how many items the user then took, candidates or not; at least 1.
        length: places of a list.
        tastes: of the users; None where no policy asks for them.
        earned: float64 [n, c], what their cost left of it to the shop; None where no cost is known.
    """

    values: dict[str, np.ndarray]
    units: np.ndarray
    positions: np.ndarray
    taken: np.ndarray
    paid: np.ndarray
    relevant: np.ndarray
    length: int
    tastes: Tastes | None = None
    earned: np.ndarray | None = None

    def __post_init__(self):
        for name, values in self.values.items():
            if values.shape != self.positions.shape:
                raise ValueError(f"{name} is {values.shape}, but candidates are {self.positions.shape}")
            require_finite(name, values)
        require_finite("paid", self.paid)
        if len(self.relevant) and self.relevant.min() < 1:
            raise ValueError(f"user {int(self.relevant.argmin())} took nothing: there is nothing to judge a list by")

    def __len__(self) -> int:
        return len(self.positions)

    def some(self, rows: slice) -> "Trial":
        """Of some users."""
        values = {name: each[rows] for name, each in self.values.items()}
        told = (each[rows] for each in (self.positions, self.taken, self.paid, self.relevant))
        tastes = None if self.tastes is None else self.tastes.rows(rows)
        earned = None if self.earned is None else self.earned[rows]
        return Trial(values, self.units, *told, self.length, tastes, earned)

    @property
    def ideal(self) -> np.ndarray:
        """float64 [n]: the discounted gain of the best lists that there could be."""
        return np.cumsum(1 / np.log2(np.arange(2, self.length + 2)))[np.minimum(self.relevant, self.length) - 1]

    def outcomes(self, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What each policy's lists have, float64 [p, n] each.

        A policy is a weight for each objective and for ``diversity``, and may have parameters of
        :mod:`jobs.ranking.rerank`; its lists are those of ``blend``.

        Args:
            weights: by objective, ``diversity`` and parameter, float64 [p]; a parameter that is missing is neutral.

        Returns:
            ``ndcg``: of what the user then took (binary gains, discount 1 / log2(rank + 1)); ``revenue``: the
            money the user then paid for items of the list; ``diversity``: mean over the places below the first of 1 -
            the largest cosine to an item above; by objective the mean of its values over the list; but ``margin`` what
            the user then paid for items of the list, less what they cost.
        """
        count = len(next(iter(weights.values())))
        names = {"ndcg", "revenue", "diversity", *self.values, *(("margin",) if self.earned is not None else ())}
        told = {name: np.zeros((count, len(self))) for name in names}
        for start in range(0, len(self), USERS_AT_ONCE):
            users = slice(start, start + USERS_AT_ONCE)
            picks, unlike = self._choose(users, weights, count)
            for name, found in self._judged(users, picks, unlike).items():
                told[name][:, users] = found
        return told

    def lists(self, weights: dict[str, np.ndarray]) -> np.ndarray:
        """int64 [n, k]: the lists of one policy, weights float64 [1], as candidates; -1 past the end."""
        starts = range(0, len(self), USERS_AT_ONCE)
        made = [self._choose(slice(start, start + USERS_AT_ONCE), weights, 1)[0][:, 0] for start in starts]
        return np.concatenate(made)

    def picked(self, weights: dict[str, np.ndarray]) -> np.ndarray:
        """bool [n, c]: which candidates the lists of one policy hold."""
        chosen, picks = np.zeros(self.positions.shape, bool), self.lists(weights)
        rows, ranks = np.nonzero(picks >= 0)
        chosen[rows, picks[rows, ranks]] = True
        return chosen

    def _choose(self, users: slice, weights: dict[str, np.ndarray], count: int) -> tuple[np.ndarray, np.ndarray]:
        """Picks int64 [b, p, k] among the candidates, -1 past the end, and 1 - the largest cosine to those above."""
        plain = np.ones(count, bool)
        for name, at in NEUTRAL.items():
            plain &= weights.get(name, at) == at
        if plain.all():
            return self._plain(users, weights, count)
        shape = (len(self.positions[users]), count, min(self.length, self.positions.shape[1]))
        picks, unlike = np.full(shape, -1, np.int64), np.ones(shape)
        if plain.any():
            some = {name: each[plain] for name, each in weights.items()}
            picks[:, plain], unlike[:, plain] = self._plain(users, some, int(plain.sum()))
        vectors = self.units[self.positions[users]]
        for place in np.flatnonzero(~plain):
            policy = {name: each[place] for name, each in weights.items()}
            picks[:, place], unlike[:, place] = self._reranked(users, policy, vectors)
        return picks, unlike

    def _reranked(self, users: slice, policy: dict[str, float], vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same [b, k] of one policy, by the code that makes the night's lists."""
        positions = self.positions[users]
        base = np.where(positions < 0, -np.inf, 0.0)
        for name, values in self.values.items():
            base += policy[name] * values[users]
        strength = np.full(len(base), policy["diversity"])
        how = Reranking.of({name: policy[name] for name in NEUTRAL if name in policy}, len(base))
        tastes = None if self.tastes is None else self.tastes.rows(users)
        made = reranked(base, vectors, strength, self.length, how, tastes)
        return made.picks, made.diversity

    def _plain(self, users: slice, weights: dict[str, np.ndarray], count: int) -> tuple[np.ndarray, np.ndarray]:
        """Neutral policies, all at once."""
        positions = self.positions[users]
        base = np.zeros((len(positions), count, positions.shape[1]), np.float32)
        for name, values in self.values.items():
            base += weights[name].astype(np.float32)[:, None] * values[users, None, :].astype(np.float32)
        base[np.broadcast_to((positions < 0)[:, None, :], base.shape)] = -np.inf
        vectors = self.units[positions]
        strength = (weights["diversity"] / 2).astype(np.float32)[None, :, None]
        width = min(self.length, positions.shape[1])
        picks = np.full((len(positions), count, width), -1, np.int64)
        unlike, told = np.ones(base.shape, np.float32), np.ones(picks.shape)
        rows, columns = np.ogrid[: len(positions), :count]
        for rank in range(width):
            total = base + strength * unlike
            best = total.argmax(axis=2)
            found = np.isfinite(total[rows, columns, best])
            picks[..., rank] = np.where(found, best, -1)
            told[..., rank] = unlike[rows, columns, best]
            base[rows, columns, best] = -np.inf
            if rank + 1 < width:
                cosines = np.matmul(vectors[rows, best], vectors.transpose(0, 2, 1))
                unlike = (1 - cosines).clip(0, 2) if rank == 0 else np.minimum(unlike, (1 - cosines).clip(0, 2))
        return picks, told

    def _judged(self, users: slice, picks: np.ndarray, unlike: np.ndarray) -> dict[str, np.ndarray]:
        listed = picks >= 0
        places = np.where(listed, picks, 0)
        rows = np.arange(len(picks))[:, None, None]
        length = np.maximum(listed.sum(axis=2), 1)
        discounts = 1 / np.log2(np.arange(2, picks.shape[2] + 2))
        ideal = self.ideal[users]
        hits = self.taken[users][rows, places] & listed
        below = np.maximum(length - 1, 1)
        found = {
            "ndcg": (hits @ discounts) / ideal[:, None],
            "revenue": np.where(listed, self.paid[users][rows, places], 0.0).sum(axis=2),
            "diversity": np.where(listed, unlike, 0.0)[..., 1:].sum(axis=2) / below,
        }
        for name, values in self.values.items():
            found[name] = np.where(listed, values[users][rows, places], 0.0).sum(axis=2) / length
        if self.earned is not None:
            found["margin"] = np.where(listed, self.earned[users][rows, places], 0.0).sum(axis=2)
        return {name: each.T for name, each in found.items()}
