"""The night's choice of ``lists.front``, as the lists use it: whose weights are which, and the scales of all."""

from dataclasses import dataclass, replace

import numpy as np
from pyspark.sql import DataFrame

from jobs.lists.audiences import EVERYBODY
from jobs.ranking.appetite import appetite
from jobs.ranking.values import Scale


@dataclass(frozen=True)
class Weighed:
    """One surface's chosen points.

    Args:
        names: of the weights, ``diversity`` among them.
        weights: by audience, float64 [names].
        scales: by objective, all but diversity.
        variety: of all users with one, the mean; None where no user has any.
    """

    names: tuple[str, ...]
    weights: dict[str, np.ndarray]
    scales: dict[str, Scale]
    variety: float | None

    @classmethod
    def of(cls, front: DataFrame, surface: str, variety: float | None) -> "Weighed":
        """From the night's lists.front.

        Raises:
            ValueError: if it has no choice for everybody.
        """
        rows = front.where("chosen").where(front["surface"] == surface).collect()
        chosen = {row["audience"]: row for row in rows}
        if EVERYBODY not in chosen:
            raise ValueError(f"lists.front: no point is chosen for {EVERYBODY} on {surface!r}; make lists.front again")
        row = chosen[EVERYBODY]
        names = tuple(name for name in row["weights"] if name != "diversity")
        scales = {name: Scale(row["units"].get(name, 1.0), row["caps"].get(name, np.inf)) for name in names}
        names = (*names, "diversity")
        weights = {who: np.array([each["weights"].get(name, 0.0) for name in names]) for who, each in chosen.items()}
        return cls(names, weights, scales, variety)

    def of_users(self, audiences: list[str | None], variety: np.ndarray) -> dict[str, np.ndarray]:
        """float64 [n] by objective: the audience's weights, with diversity times the user's own appetite for it.

        Args:
            audiences: of n users; who has none, or one without weights of its own, is of everybody.
            variety: float64 [n], as in lists.vectors, NaN where unknown.
        """
        mine = np.stack([self.weights.get(each or EVERYBODY, self.weights[EVERYBODY]) for each in audiences])
        if self.variety:
            mine[:, -1] *= appetite(variety, self.variety)
        return dict(zip(self.names, (mine / mine.sum(axis=1, keepdims=True)).T, strict=True))

    def without(self, name: str) -> "Weighed":
        """As if this objective did not count; the others' weights are raised in proportion.

        Raises:
            ValueError: if nothing else counts for some audience.
        """
        place = self.names.index(name)
        kept = {who: np.where(np.arange(len(each)) == place, 0.0, each) for who, each in self.weights.items()}
        if alone := [who for who, each in kept.items() if not each.sum()]:
            raise ValueError(f"{name} is all that counts for {alone[0]}")
        return replace(self, weights={who: each / each.sum() for who, each in kept.items()})
