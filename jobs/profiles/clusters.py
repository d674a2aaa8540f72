"""Groups of customers alike: K-means on a bounded sample, as many groups as part best, known again the next night."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.ml.clustering import KMeans
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession
from scipy.optimize import linear_sum_assignment

KS = range(2, 9)
SEED = 1
STEADY = 0.02  # of silhouette by which another number of groups has to be better than last night's
SAME = 1.5  # standard deviations that a group's centre may move and still be that group
NAMED = 3  # words of a name at most
# what a centre above the mean, and one below it, is called
WORDS = {
    "recency": ("lapsed", "recent"),
    "frequency": ("frequent", "rare"),
    "monetary": ("high value", "low value"),
    "variety": ("varied", "narrow"),
    "price_level": ("premium", "budget"),
    "discount_share": ("bargain", "full price"),
}
FEATURES = tuple(WORDS)
MARKS, STILL_MARKS = 0.3, 0.1  # standard deviations from the mean that earn a word, and that keep it
ALIKE = "everybody"


@dataclass(frozen=True)
class Groups:
    """Groups in standardised features.

    Args:
        mean, scale: float64[d] of the customers they were found in; a scale of 0 marks a feature that says nothing, a
            mean of NaN one that is known of nobody.
        centres: float64[k, d], standardised.
        silhouette: of these customers, -1 to 1; None of one group.
    """

    mean: np.ndarray
    scale: np.ndarray
    centres: np.ndarray
    silhouette: float | None

    def standardised(self, rows: np.ndarray) -> np.ndarray:
        """float64[n, d]: an unknown feature stands at the mean, one that says nothing too."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(np.isnan(rows) | (self.scale == 0), 0.0, (rows - self.mean) / self.scale)

    def nearest(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each row the group, int64[n], and the distance to its centre, float64[n]."""
        apart = np.linalg.norm(self.standardised(rows)[:, None, :] - self.centres[None], axis=2)
        groups = apart.argmin(1)
        return groups, apart[np.arange(len(rows)), groups]

    def plain(self) -> np.ndarray:
        """float64[k, d]: the centres in the features' own units."""
        return self.centres * self.scale + self.mean


@dataclass(frozen=True)
class Known:
    """Last night's groups: ``ids`` int64[k], ``names``, and ``centres`` float64[k, d] in the features' own units.

    ``largest`` is the largest id of late, which no new group gets.
    """

    ids: np.ndarray
    names: list[str]
    centres: np.ndarray
    largest: int


def one(rows: np.ndarray) -> Groups:
    """All of ``rows``, float64[n, d] with NaN for unknown, as one group."""
    known = ~np.isnan(rows)
    counts = np.maximum(known.sum(0), 1)
    mean = np.where(known.any(0), np.where(known, rows, 0).sum(0) / counts, np.nan)
    scale = np.sqrt((np.where(known, rows - mean, 0) ** 2).sum(0) / counts)
    scale = np.where(scale > 1e-9 * np.maximum(np.abs(mean), 1), scale, 0.0)
    return Groups(mean, scale, np.zeros((1, rows.shape[1])), None)


def find(spark: SparkSession, rows: np.ndarray, before: int | None) -> Groups:
    """The groups of ``rows``, float64[n, d] with NaN for unknown, in this order; one group if all are alike.

    Of 2 to 8 groups those with the largest silhouette, or as many as ``before`` if that is nearly as large.
    """
    alone = one(rows)
    told = alone.standardised(rows)
    different = len(np.unique(told, axis=0))
    if different < 3:
        return alone
    # one partition: sums of doubles over several would depend on which ends first
    table = spark.createDataFrame(pa.table({"x": list(told)})).coalesce(1)
    features = table.select(array_to_vector("x").alias("features")).localCheckpoint()
    judge, found = ClusteringEvaluator(), {}
    for k in [k for k in KS if k < different]:
        model = KMeans(k=k, seed=SEED, maxIter=30).fit(features)
        if len(model.clusterCenters()) > 1:
            found[k] = (judge.evaluate(model.transform(features)), np.array(model.clusterCenters()))
    if not found:
        return alone
    best = max(found, key=lambda k: (found[k][0], -k))
    if before in found and found[before][0] > found[best][0] - STEADY:
        best = before
    silhouette, centres = found[best]
    order = np.lexsort((*centres.T, -centres[:, [FEATURES.index("frequency"), FEATURES.index("monetary")]].sum(1)))
    return Groups(alone.mean, alone.scale, centres[order], float(silhouette))


def recognised(groups: Groups, known: Known | None) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Of each group its id, name, and how many standard deviations its centre moved since last night, NaN of a new one.

    Groups keep the ids of last night's with the nearest centres (Hungarian assignment) and, while each of its words is
    still true, the name. New ids follow the largest of late.
    """
    k = len(groups.centres)
    ids, moved, names = np.zeros(k, dtype=np.int64), np.full(k, np.nan), [""] * k
    if known is not None:
        then = groups.standardised(known.centres)
        apart = np.linalg.norm(groups.centres[:, None] - then[None], axis=2)
        for mine, theirs in zip(*linear_sum_assignment(apart), strict=True):
            if apart[mine, theirs] <= SAME:
                ids[mine], moved[mine] = known.ids[theirs], apart[mine, theirs]
                names[mine] = known.names[theirs] if _still(known.names[theirs], groups.centres[mine]) else ""
    fresh = np.flatnonzero(ids == 0)
    ids[fresh] = np.arange(len(fresh)) + 1 + (known.largest if known is not None else 0)
    for place in np.argsort(ids):
        names[place] = names[place] or _name(groups.centres[place], set(names), k == 1)
    return ids, names, moved


def _marks(centre: np.ndarray, least: float) -> list[str]:
    """Words of the features in which the centre stands out, the furthest first."""
    order = np.argsort(-np.abs(centre), kind="stable")
    return [WORDS[FEATURES[each]][int(centre[each] < 0)] for each in order if abs(centre[each]) >= least]


def _name(centre: np.ndarray, taken: set[str], alone: bool) -> str:
    if alone:
        return ALIKE
    marks = _marks(centre, MARKS)
    names = [", ".join(marks[:words]) for words in range(min(NAMED, len(marks)), len(marks) + 1)]
    names = [name or "average" for name in names]
    names += [f"{names[-1]} {number}" for number in range(2, len(taken) + 3)]
    return next(name for name in names if name not in taken)


def _still(name: str, centre: np.ndarray) -> bool:
    """Whether each word of the name is still true."""
    words = {word for both in WORDS.values() for word in both}
    told = [word for word in name.split(", ") if word in words]
    return bool(told) and set(told) <= set(_marks(centre, STILL_MARKS))
