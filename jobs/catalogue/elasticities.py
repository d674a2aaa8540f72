"""Elasticities: by how many percent more of an item is bought when its price rises by one, per category."""

from datetime import date, timedelta

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

import schemas
from jobs.reads import on, upto

READS = {"log": upto("behaviour.log"), "items": on("catalogue.items")}
TABLE = schemas.table("catalogue.elasticities")

WEEKS = 52  # that are looked back on
FEWEST = 13  # weeks with a sale that an item needs; and half of those that the shop's log reaches back
FREE = 20  # weeks that a category's estimate needs beyond what is fitted
STILL = 0.01  # standard deviation of a price's logarithm below which it hardly moved
LEAST_ERROR, VAGUE = 0.01, 2.0  # nothing is known more exactly; beyond that an estimate says nothing
EXACT = "decimal(28,12)"  # decimals add up to the same in any order, doubles don't


def elasticities(log: DataFrame, items: DataFrame, *, day: date) -> DataFrame:
    """One row a category of the catalogue.

    Least squares of the logarithm of an item's units in a week on that of its mean price in this week, each item about
    its own mean (item fixed effects), all items of a category with one slope. Weeks without a sale have no price and
    are left out, and so are items that sell in less than half of the weeks, of which that would say most.

    Args:
        log: behaviour.log up to the night.
        items: catalogue.items of the night.
        day: the night; weeks are counted back from it.
    """
    sums = _sums(_weekly(log, day), items)
    kinds = items.select("category").distinct().join(sums, on="category", how="left")
    rows = sorted(kinds.select("category", "items", "weeks", "xx", "xy", "yy").collect(), key=lambda row: row[0])
    counts = np.array([row[1:3] for row in rows], dtype=np.float64).reshape(-1, 2)  # null as NaN
    slopes, errors = fitted(*np.nan_to_num(counts).T, *_doubles(rows).T)
    best = shrunk(slopes, errors)
    told = [
        (day, row["category"], *map(_known, (mine, slope, error)), row["items"] or 0, row["weeks"] or 0)
        for row, mine, slope, error in zip(rows, best, slopes, errors, strict=True)
    ]
    return log.sparkSession.createDataFrame(told, TABLE.ddl)


def fitted(
    items: np.ndarray, weeks: np.ndarray, xx: np.ndarray, xy: np.ndarray, yy: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """float64[n] slopes and their standard errors; NaN where too little is known, or prices stood still.

    Args:
        items, weeks: float64[n], of each category.
        xx, xy, yy: float64[n], sums of squares and products of logarithms of price (x) and units (y) about the items'
            means.
    """
    free = weeks - items - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = xy / xx
        errors = np.maximum(np.sqrt(np.maximum(yy - slopes * xy, 0) / free / xx), LEAST_ERROR)
        told = (free >= FREE) & (xx >= STILL**2 * weeks) & (errors <= VAGUE)
    return np.where(told, slopes, np.nan), np.where(told, errors, np.nan)


def shrunk(slopes: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """float64[n]: each slope as far towards the mean of all as its error is large beside their differences.

    NaN stands at the mean, and all are NaN if all were. The variance between categories is DerSimonian and Laird's
    (Meta-analysis in Clinical Trials, 1986).
    """
    known = ~np.isnan(slopes)
    if not known.any():
        return slopes
    slope, variance = slopes[known], errors[known] ** 2
    weights = 1 / variance
    apart = (weights * (slope - np.average(slope, weights=weights)) ** 2).sum()
    scale = weights.sum() - (weights**2).sum() / weights.sum()
    between = max((apart - (len(slope) - 1)) / scale, 0.0) if len(slope) > 1 else 0.0
    mean = np.average(slope, weights=1 / (variance + between))
    best = np.full(len(slopes), mean)
    best[known] = (between * slope + variance * mean) / (between + variance)
    return best


def _weekly(log: DataFrame, day: date) -> DataFrame:
    """Per item and week with a sale: logarithms of the mean price, ``x``, and of the units, ``y``."""
    amount, units = (F.col(name).cast("decimal(18,4)") for name in ("amount", "quantity"))
    return (
        log.where("event_type = 'purchase' AND item_id IS NOT NULL AND amount > 0 AND quantity > 0")
        .where((F.col("day") > F.lit(day - timedelta(weeks=WEEKS))) & (F.col("day") <= F.lit(day)))
        .groupBy("item_id", F.floor(F.datediff(F.lit(day), "day") / 7).alias("week"))
        .agg(F.sum(amount).cast("double").alias("amount"), F.sum(units).cast("double").alias("units"))
        .where("amount > 0 AND units > 0")
        .select("item_id", "week", F.ln(F.col("amount") / F.col("units")).alias("x"), F.ln("units").alias("y"))
    )


def _sums(weekly: DataFrame, items: DataFrame) -> DataFrame:
    """Per category: items and weeks of those that sell often enough, and their sums of squares and products."""
    products = {"x": F.col("x"), "y": F.col("y")}
    products |= {a + b: F.col(a) * F.col(b) for a, b in ("xx", "xy", "yy")}
    of_items = weekly.groupBy("item_id").agg(
        F.count("*").alias("weeks"), *(F.sum(each.cast(EXACT)).alias(name) for name, each in products.items())
    )
    reached = weekly.agg(F.greatest((F.max("week") + 1) / 2, F.lit(FEWEST)).alias("needed"))
    often = of_items.crossJoin(F.broadcast(reached)).where("weeks >= needed")
    totals = {name: F.col(name).cast("double") for name in products}
    about = {a + b: totals[a + b] - totals[a] * totals[b] / F.col("weeks") for a, b in ("xx", "xy", "yy")}
    return (
        often.join(items.select("item_id", "category"), on="item_id", how="inner")
        .groupBy("category")
        .agg(
            F.count("*").alias("items"),
            F.sum("weeks").alias("weeks"),
            *(F.sum(each.cast(EXACT)).cast("double").alias(name) for name, each in about.items()),
        )
    )


def _doubles(rows: list) -> np.ndarray:
    """float64[n, 3]: xx, xy, yy; NaN where no item sells often enough."""
    return np.array([row[3:] for row in rows], dtype=np.float64).reshape(-1, 3)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
