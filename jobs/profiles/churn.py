"""Who will not buy anything in the next 28 days: Spark ML's logistic regression, calibrated on customers left out.

Learned from what was known 28, 56 and 84 days ago and what the 28 days after it brought; nothing later than a row's own
day is among its features.
"""

import logging
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.ml.classification import LogisticRegression, LogisticRegressionModel
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession
from scipy.special import expit

from jobs.profiles.visits import Visits, summary

log = logging.getLogger(__name__)

HORIZON = 28  # days
PERIODS = 3  # of HORIZON days that are learned from, as far as the history reaches
HISTORY = 28  # days of the shop before a period that may be learned from
FEWEST = 50  # of those who stayed, and of those who left
LEFT_OUT = 5  # every fifth customer calibrates
WINDOWS = (7, 14, 28, 56, 91, 182)  # days
FORGETTING = (30, 90)  # half-lives in days
REGULARISED = 1e-3


def features(seen: Visits, day: int) -> np.ndarray:
    """float64[n, d] of users who bought something up to ``day``, which none of ``seen`` is after.

    Logarithms of recency, repeat days, age, the mean and the longest gap, recency over both, the money of 91 days, days
    with a purchase in each of WINDOWS, and their rates with each half-life of FORGETTING.
    """
    known = summary(seen, day)
    bought = seen.where(seen.bought)
    waited = known.age - known.recency
    mean_gap = (known.recency + 14) / (known.repeats + 1)  # of one more purchase after two weeks
    longest = np.zeros(len(seen))
    users = bought.users
    same = users[1:] == users[:-1]
    np.maximum.at(longest, users[1:][same], np.diff(bought.days)[same])
    columns = [
        np.log1p(waited),
        np.log1p(known.repeats),
        np.log1p(known.age),
        np.log(mean_gap),
        np.log1p(waited) - np.log(mean_gap),
        np.log1p(longest),
        np.log1p(waited) - np.log1p(longest),
        np.log1p(np.maximum(seen.spent(day - 90, day), 0)),
        *(np.log1p(seen.counts(day - days + 1, day)) for days in WINDOWS),
        *(np.log(bought_lately(seen, day, half_life)) for half_life in FORGETTING),
    ]
    return np.stack(columns, axis=1)


def bought_lately(seen: Visits, day: int, half_life: float, prior: tuple[float, float] = (1.0, 10.0)) -> np.ndarray:
    """float64[n]: purchase days a day, each counting half as much every ``half_life`` days, and so does the time.

    Args:
        seen: users who bought something up to ``day``.
        day: the night.
        half_life: in days.
        prior: purchase days that everybody is credited with, and days for them.
    """
    bought = seen.where(seen.bought)
    weights = 0.5 ** ((day - bought.days) / half_life)
    age = day - bought.days[bought.offsets[:-1]] + 1
    time = (1 - 0.5 ** (age / half_life)) * half_life / np.log(2)
    return (prior[0] + np.bincount(bought.users, weights, minlength=len(seen))) / (prior[1] + time)


@dataclass(frozen=True)
class Churn:
    """A logistic regression over :func:`features` and the straight line that calibrates it (Platt, 1999)."""

    weights: np.ndarray
    bias: float
    slope: float
    shift: float

    def probability(self, seen: Visits, day: int) -> np.ndarray:
        """float64[n]: that a customer buys nothing in the HORIZON days after ``day``."""
        margin = features(seen, day) @ self.weights + self.bias
        return expit(self.slope * margin + self.shift)


def fit(spark: SparkSession, seen: Visits, day: int) -> Churn | None:
    """The model of these customers, in this order, at the night ``day``; None, with a line in the log, if too few."""
    rows, left, users = examples(seen, day)
    if min(left.sum(), (~left).sum()) < FEWEST:
        log.warning(
            "profiles.customers: %d left and %d stayed in the periods of %d days so far, p_churn needs %d of each: "
            "no p_churn",
            left.sum(), (~left).sum(), HORIZON, FEWEST,
        )  # fmt: skip
        return None
    apart = users % LEFT_OUT == 0
    if len(set(left[apart])) < 2 or len(set(left[~apart])) < 2:
        log.warning("profiles.customers: everybody left out for calibration did the same: no p_churn")
        return None
    learned = regression(spark, rows[~apart], left[~apart], REGULARISED)
    weights, bias = learned.coefficients.toArray(), float(learned.intercept)
    line = regression(spark, (rows[apart] @ weights + bias)[:, None], left[apart], 0.0)
    return Churn(weights, bias, float(line.coefficients[0]), float(line.intercept))


def examples(seen: Visits, day: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """float64[m, d] features, bool[m] whether the customer left, int64[m] the customer's place.

    One row of each of the last PERIODS periods and customer known before it, as far as the shop's history reaches.
    """
    opened = int(seen.days.min(initial=day))
    rows, left, users = [np.empty((0, 8 + len(WINDOWS) + len(FORGETTING)))], [np.empty(0, bool)], [np.empty(0, int)]
    for period in range(1, PERIODS + 1):
        cut = day - period * HORIZON
        if cut - opened < HISTORY:
            break
        known = seen.upto(cut)
        who = known.counts(opened, cut) > 0
        rows.append(features(known.only(who), cut))
        left.append(seen.counts(cut + 1, cut + HORIZON)[who] == 0)
        users.append(np.flatnonzero(who))
    return np.concatenate(rows), np.concatenate(left), np.concatenate(users)


def regression(spark: SparkSession, rows: np.ndarray, left: np.ndarray, penalty: float) -> LogisticRegressionModel:
    """Of ``rows``, float64[m, d]: the same rows in the same order give the same coefficients."""
    table = pa.table({"x": list(rows), "label": left.astype(np.float64)})
    # one partition: sums of doubles over several would depend on which ends first
    told = spark.createDataFrame(table).coalesce(1).select(array_to_vector("x").alias("features"), "label")
    return LogisticRegression(regParam=penalty, maxIter=100, tol=1e-6).fit(told)
