"""How a user reacts to discounts and prices, beside everybody who buys in the same categories, and the same items.

Both compare what one user paid with what all paid, so that neither a dear category nor an item that is always on offer
counts for or against anybody; and both are shrunk to what all do, by how much users differ (empirical Bayes).
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.catalogue.items import UNKNOWN
from jobs.profiles.adding import LOGS
from jobs.profiles.goods import Goods
from jobs.profiles.grouped import numbers, opened, unscaled

EXACT = "decimal(28,12)"  # decimals add up to the same in any order, doubles don't
LEAST_WEIGHT = 1.0  # purchase lines that what all do counts for, at least
COUNTS = ("told", "discounted", "priced", "logs", "squares")
SUMS = ("told", "discounted", "expected", "apart", "information", "reaction", "reacting")  # of a user, doubles


@dataclass(frozen=True)
class Usual:
    """What all users do, float64 of each item of the catalogue; NaN where unknown.

    Args:
        share: of its category's lines, those at a discount.
        elasticity: of its category.
        middle, spread: mean and variance of its price's logarithm.
    """

    share: np.ndarray
    elasticity: np.ndarray
    middle: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, totals: DataFrame, goods: Goods, elasticities: DataFrame) -> "Usual":
        """Of profiles.totals of those who may be profiled, and catalogue.elasticities; items come to the driver."""
        lists = totals.select(F.expr("inline(prices)")).groupBy("item_id")
        table = lists.agg(*(F.sum(name).cast("double").alias(name) for name in COUNTS)).toArrow().combine_chunks()
        place = goods.places(table["item_id"].combine_chunks())
        of = {name: np.zeros(len(goods.items)) for name in COUNTS}
        for name, each in of.items():
            each[place[place >= 0]] = table[name].to_numpy()[place >= 0]
        curves = dict(zip(*elasticities.select("category", "elasticity").toArrow().to_pydict().values(), strict=True))
        names = [*goods.categories.to_pylist(), UNKNOWN]
        kind = np.where(goods.category < 0, len(names) - 1, goods.category)
        told, discounted = (np.bincount(kind, of[name], len(names)) for name in ("told", "discounted"))
        curve = np.array([curves.get(name) for name in names], dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            middle, square = (of[name] / of["priced"] for name in ("logs", "squares"))
            return cls((discounted / told)[kind], curve[kind], middle, np.maximum(square - middle * middle, 0))


def sums(batch: pa.RecordBatch, goods: Goods, usual: Usual) -> dict[str, np.ndarray]:
    """float64 [n] each, of n rows of profiles.totals: lines told, discounted, and expected to be; of prices what
    :func:`_variance` says; and the mix."""
    owner, fields = opened(batch["prices"])
    place = goods.places(fields["item_id"])
    known = place >= 0
    owner, place = owner[known], place[known]
    told, discounted, priced = (numbers(fields[name])[known] for name in ("told", "discounted", "priced"))
    logs = unscaled(fields["logs"])[known] / LOGS
    curve = usual.elasticity[place]
    reacts = ~np.isnan(curve)
    each = {
        "told": told,
        "discounted": discounted,
        "expected": np.where(told > 0, told * usual.share[place], 0),
        "apart": np.where(priced > 0, logs - priced * usual.middle[place], 0),
        "information": np.where(priced > 0, priced * usual.spread[place], 0),
        "reaction": np.where(reacts, priced * curve, 0),
        "reacting": np.where(reacts, priced, 0),
    }
    return {name: np.bincount(owner, values, len(batch)).astype(np.float64) for name, values in each.items()}


def moments(rows: DataFrame) -> DataFrame:
    """One row: :func:`_agreement` and :func:`_variance` of rows that have :data:`SUMS`, of all who may be profiled."""
    return rows.agg(_agreement().alias("agreement"), _variance().alias("variance"))


def elasticity() -> dict[str, Column]:
    """``discount_elasticity`` and ``price_elasticity``, in a frame that has :data:`SUMS` and :func:`moments`."""
    own = F.col("variance") * F.col("apart") / (F.col("variance") * F.col("information") + 1)
    return {"discount_elasticity": _odds(), "price_elasticity": F.try_divide("reaction", "reacting") + own}


def _agreement() -> Column:
    """Over all users: how many lines everybody's share counts for beside a user's own; null if users don't differ.

    The share of discounted lines of users of one mix is beta distributed about the mix's; moments of the beta-binomial
    (Kleinman, Proportions with Extraneous Variance, JASA 68, 1973) give the correlation of two lines of one user, r,
    and the beta's weight is 1 / r - 1.
    """
    share = F.try_divide("expected", "told")
    variance = F.col("told") * share * (1 - share)
    beyond = F.pow(F.col("discounted") - F.col("expected"), F.lit(2.0)) - variance
    pairs = variance * (F.col("told") - 1)
    correlation = F.try_divide(F.sum(beyond.cast(EXACT)).cast("double"), F.sum(pairs.cast(EXACT)).cast("double"))
    return F.when(correlation > 0, F.greatest(1 / correlation - 1, F.lit(LEAST_WEIGHT)))


def _odds() -> Column:
    """Log odds of a discounted line, everybody's taken off, 0 where users don't differ."""
    share = F.try_divide("expected", "told")
    bought = F.col("discounted") + F.col("agreement") * share
    others = F.col("told") - F.col("discounted") + F.col("agreement") * (1 - share)
    odds = F.ln(bought / others) - F.ln(share / (1 - share))
    return F.when((share > 0) & (share < 1), F.coalesce(odds, F.lit(0.0)))


def _variance() -> Column:
    """Over all users: the variance of their own elasticities d about their categories'.

    Who has elasticity b takes the price p with a density in proportion to p^b. So the sum of ln p over a user's lines,
    less that of all users for the same items (``apart``), has the mean d I and the variance I to the first order,
    where I is the sum of the items' variances of ln p (``information``). With d normal about 0 its variance v follows
    from the mean of apart^2, I + v I^2, and d itself is best told by apart / (I + 1 / v).
    """
    beyond = F.pow("apart", F.lit(2.0)) - F.col("information")
    square = F.pow("information", F.lit(2.0))
    found = F.try_divide(F.sum(beyond.cast(EXACT)).cast("double"), F.sum(square.cast(EXACT)).cast("double"))
    return F.greatest(F.coalesce(found, F.lit(0.0)), F.lit(0.0))
