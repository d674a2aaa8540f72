"""A value of people, told from what they buy by Spark ML's multinomial logistic regression, judged before believed."""

from collections import Counter
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import pyarrow as pa
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from jobs.profiles.clusters import Groups, one

FEWEST = 200  # people whose value is known
FEW, MOST = 20, 12  # people of a value that is worth learning, and such values at most
FOLDS = 3  # each costs the night a regression an attribute
REGULARISED = 0.1
SURE = 1.645  # standard errors by which a classifier has to be ahead: 95 % on one side
TEMPERATURES = (-1.5, 1.5)  # logarithms of the least and the greatest


@dataclass(frozen=True)
class Learned:
    """A regression: ``scale`` of its features, ``weights`` float64[k, d] and ``bias`` float64[k]."""

    scale: Groups
    weights: np.ndarray
    bias: np.ndarray

    def margins(self, rows: np.ndarray) -> np.ndarray:
        """float64[n, k] of ``rows``, float64[n, d] with NaN for unknown."""
        # row by row: a product of matrices rounds by how many rows come with it
        return np.einsum("nd,kd->nk", self.scale.standardised(rows), self.weights) + self.bias


@dataclass(frozen=True)
class Classifier:
    """What a value is told by, and how well.

    Args:
        values: the k that it tells apart.
        learned: by all who are known; None where ``accuracy`` isn't ahead of ``most_frequent`` by more than chance.
        temperature: that margins are divided by, so that probabilities are what came true of people left out.
        accuracy: share that it told right, of people left out.
        most_frequent: the same, of telling everybody the most frequent value.
    """

    values: list[str]
    learned: Learned | None
    temperature: float
    accuracy: float
    most_frequent: float

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """float64[n, k], to six digits; needs ``learned``."""
        return np.round(np.exp(log_softmax(self.learned.margins(rows) / self.temperature, axis=1)), 6)


def fit(spark: SparkSession, users: list[str], rows: np.ndarray, told: list[str]) -> Classifier | None:
    """The classifier of these people, in this order; None where too few are known, or all of one value.

    Each third of the people, by a hash of their ids, is told by what was learned from the others. Values of fewer than
    FEW people are not learned, and count as told wrong.

    Args:
        spark: the session.
        users: n ids.
        rows: float64[n, d], NaN for unknown.
        told: n values.
    """
    often = sorted(Counter(told).items(), key=lambda each: (-each[1], each[0]))
    values = sorted(value for value, count in often[:MOST] if count >= FEW)
    if len(told) < FEWEST or len(values) < 2:
        return None
    place = {value: number for number, value in enumerate(values)}
    classes = np.array([place.get(value, -1) for value in told])
    fold, kept = np.array([crc32(user.encode()) % FOLDS for user in users]), classes >= 0
    margins = np.empty((len(told), len(values)))
    for each in range(FOLDS):
        others = learn(spark, rows[(fold != each) & kept], classes[(fold != each) & kept], len(values))
        margins[fold == each] = others.margins(rows[fold == each])
    right = margins.argmax(1) == classes
    frequent = classes == place[often[0][0]]
    ahead = right.astype(np.float64) - frequent
    better = ahead.mean() > SURE * ahead.std() / np.sqrt(len(ahead))
    return Classifier(
        values,
        learn(spark, rows[kept], classes[kept], len(values)) if better else None,
        temperature(margins[kept], classes[kept]),
        float(right.mean()),
        float(frequent.mean()),
    )


def learn(spark: SparkSession, rows: np.ndarray, classes: np.ndarray, count: int) -> Learned:
    """The regression of ``classes``, int64[n] below ``count``: the same rows in the same order give the same one."""
    scale = one(rows)
    table = pa.table({"x": list(scale.standardised(rows)), "label": classes.astype(np.float64)})
    # one partition: sums of doubles over several would depend on which ends first
    given = spark.createDataFrame(table).coalesce(1).select(array_to_vector("x").alias("features"), "label")
    way = LogisticRegression(family="multinomial", regParam=REGULARISED, standardization=False, maxIter=50, tol=1e-4)
    model = way.fit(given.localCheckpoint())
    weights, bias = np.zeros((count, rows.shape[1])), np.full(count, -np.inf)
    found = model.coefficientMatrix.toArray()
    weights[: len(found)], bias[: len(found)] = found, model.interceptVector.toArray()
    return Learned(scale, weights, bias)


def temperature(margins: np.ndarray, classes: np.ndarray) -> float:
    """What to divide margins by, so that what came true is likeliest (Guo et al., On Calibration, 2017)."""

    def lost(logarithm: float) -> float:
        return -log_softmax(margins / np.exp(logarithm), axis=1)[np.arange(len(classes)), classes].mean()

    return float(np.exp(minimize_scalar(lost, bounds=TEMPERATURES, method="bounded").x))
