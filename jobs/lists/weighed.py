"""The night's choice of ``lists.front``, as the lists use it: whose weights are which, and the scales of all."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from pyspark.sql import DataFrame, Row

from jobs.lists.audiences import EVERYBODY
from jobs.ranking.appetite import appetite
from jobs.ranking.rerank import NEUTRAL, RERANKERS, Reranking
from jobs.ranking.values import Scale
from schemas.objectives import EXPLORING


@dataclass(frozen=True)
class Weighed:
    """One surface's chosen points.

    Args:
        names: of the weights, ``diversity`` among them.
        weights: by audience, float64 [names].
        scales: by objective, all but diversity.
        variety: of all users with one, the mean; None where no user has any.
        reranking: by audience, the parameters of :mod:`jobs.ranking.rerank` that aren't neutral.
        explored: expected places a list that are explored.
    """

    names: tuple[str, ...]
    weights: dict[str, np.ndarray]
    scales: dict[str, Scale]
    variety: float | None
    reranking: dict[str, dict[str, float]] = field(default_factory=dict)
    explored: float = EXPLORING.budget

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
        reranking = {who: moved(parameters(each)) for who, each in chosen.items()}
        explored = EXPLORING.budget if row["explored"] is None else row["explored"]
        return cls(names, weights, scales, variety, reranking, explored)

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

    def parameters_of(self, audience: str | None) -> dict[str, float]:
        """By name, those of an audience that aren't neutral; see :meth:`of_users` for whom that is."""
        known = audience if audience in self.weights else EVERYBODY
        return self.reranking.get(known, {})

    def rerankings(self, audiences: list[str | None], plain: np.ndarray) -> Reranking | None:
        """How the lists of n users are re-ranked; None where all are neutral, as those of ``plain``, bool [n], are."""
        mine = [{} if alone else self.parameters_of(each) for each, alone in zip(audiences, plain, strict=True)]
        if not any(mine):
            return None
        told = {name: np.array([each.get(name, at) for each in mine]) for name, at in NEUTRAL.items()}
        return Reranking.of(told, len(mine))

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


def parameters(row: Row | Mapping) -> dict[str, float]:
    """Those of a row of lists.front by name; what nights of before the columns hold, null, is neutral."""
    told = {"calibration": row["calibration"], "category_share": row["category_share"]}
    told["dpp"] = None if row["reranker"] is None else float(RERANKERS.index(row["reranker"]))
    return {name: at if told[name] is None else told[name] for name, at in NEUTRAL.items()}


def moved(told: Mapping[str, float]) -> dict[str, float]:
    """The parameters that aren't neutral."""
    return {name: value for name, value in told.items() if value != NEUTRAL[name]}


def words(told: Mapping[str, float]) -> str:
    """Parameters for a person, such as "mmr, calibration 0.100, one category at most 0.30 of the list"."""
    whole = NEUTRAL | dict(told)
    shares = [f"one category at most {whole['category_share']:.2f} of the list"] if whole["category_share"] < 1 else []
    strength = [f"calibration {whole['calibration']:.3f}"] if whole["calibration"] else []
    return ", ".join([RERANKERS[int(whole["dpp"])], *strength, *shares])
