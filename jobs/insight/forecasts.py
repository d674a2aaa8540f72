"""Demand of the next 28 days, per category and per item that sells often, with bounds that nine days in ten keep."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from jobs.catalogue.items import UNKNOWN
from jobs.insight.demand import HORIZON, Foretold, foretell, interval, level, seldom
from jobs.lists.blocks import spread
from jobs.profiles.visits import EPOCH, number
from jobs.reads import on, upto

log = logging.getLogger(__name__)

READS = {"log": upto("behaviour.log"), "items": on("catalogue.items")}

HISTORY = 364  # days: whole weeks
LATELY, OFTEN = 182, 90  # of the last LATELY days, those with a sale that an item needs
ITEMS = 500  # items at most, those that sold on most days: what a night costs doesn't grow with the shop
SAMPLE = 2000  # series that intervals are calibrated on
TOLD = (
    "level string, name string, units array<double>, model string, past array<double>, came array<double>, "
    "whole boolean"
)
FORECAST = "level string, name string, for_day date, units double, low double, high double, model string"


def forecasts(log: DataFrame, items: DataFrame, *, day: date) -> DataFrame:
    """Rows of HORIZON days a series: every category with a sale in the last HISTORY days, and up to ITEMS items.

    Demand is units bought, a line without a quantity one; what was returned is not taken off.

    Args:
        log: behaviour.log up to the night.
        items: catalogue.items of the night.
        day: the night.
    """
    night = number(day)
    series = spread(_series(log, items, day), "name")
    told = series.mapInArrow(_teller(night), TOLD).localCheckpoint()
    sample = told.orderBy(F.xxhash64("level", "name"), "level", "name").limit(SAMPLE).toArrow()
    levels = _levels(sample)
    return told.mapInArrow(_bounder(levels, night), FORECAST).withColumn("day", F.lit(day))


def _series(log: DataFrame, items: DataFrame, day: date) -> DataFrame:
    """``level``, ``name``, and arrays: ``days`` with a sale (since 1970-01-01, ascending) and their ``units``."""
    # decimals add up to the same in any order
    units = F.coalesce("quantity", F.lit(1.0)).cast("decimal(18,4)")
    daily = (
        log.where("event_type = 'purchase'")
        .where((F.col("day") > F.lit(day - timedelta(days=HISTORY))) & (F.col("day") <= F.lit(day)))
        .groupBy("item_id", F.unix_date("day").alias("days"))
        .agg(F.sum(units).alias("units"))
        .where("units > 0")
    )
    of_items = _arrays(daily.where("item_id IS NOT NULL").withColumnRenamed("item_id", "name"), "item")
    lately = F.size(F.filter("days", lambda each: each > number(day) - LATELY))
    often = of_items.where(lately >= OFTEN).orderBy(-F.size("days"), "name").limit(ITEMS)
    categories = items.where(F.col("category") != UNKNOWN).select("item_id", F.col("category").alias("name"))
    by_category = daily.join(categories, on="item_id", how="inner").groupBy("name", "days")
    of_categories = _arrays(by_category.agg(F.sum("units").alias("units")), "category")
    return of_categories.unionByName(often)


def _arrays(daily: DataFrame, level: str) -> DataFrame:
    told = F.sort_array(F.collect_list(F.struct("days", F.col("units").cast("double").alias("units"))))
    by_name = daily.groupBy("name").agg(told.alias("told"))
    return by_name.select(
        F.lit(level).alias("level"), "name", *(F.col("told")[each].alias(each) for each in ("days", "units"))
    )


def _teller(night: int) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for ``mapInArrow``: rows of :func:`_series` to TOLD."""

    schema = to_arrow_schema(StructType.fromDDL(TOLD))

    def tell(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = []
            for row in batch.to_pylist():
                sold = np.zeros(night - row["days"][0] + 1)
                sold[np.array(row["days"]) - row["days"][0]] = row["units"]
                one = foretell(sold)
                rows.append(
                    {
                        "level": row["level"], "name": row["name"], "units": one.units, "model": one.model,
                        "past": one.past.ravel(), "came": one.came.ravel(), "whole": one.whole,
                    }
                )  # fmt: skip
            yield pa.RecordBatch.from_pylist(rows, schema)

    return tell


def _levels(sample: pa.Table) -> dict[tuple[str, bool], float]:
    """By level and whether it sells seldom, what to leave out of past errors at each end."""
    alike = defaultdict(list)
    for row in sample.to_pylist():
        one = _one(row)
        alike[row["level"], seldom(one)].append(one)
    return {kind: level(series) for kind, series in sorted(alike.items())}


def _bounder(levels: dict, night: int) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for ``mapInArrow``: rows of TOLD to FORECAST."""

    schema = to_arrow_schema(StructType.fromDDL(FORECAST))

    def bound(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = []
            for row in batch.to_pylist():
                one = _one(row)
                bounds = interval(one, levels.get((row["level"], seldom(one)), 0.05))
                low, high = bounds or ([None] * HORIZON, [None] * HORIZON)
                for ahead in range(HORIZON):
                    for_day = EPOCH + timedelta(days=night + 1 + ahead)
                    rows.append(
                        (row["level"], row["name"], for_day, one.units[ahead], low[ahead], high[ahead], row["model"])
                    )
            columns = zip(*rows, strict=True) if rows else [[]] * 7
            arrays = [pa.array(list(each), field.type) for each, field in zip(columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return bound


def _one(row: dict) -> Foretold:
    past, came = (np.array(row[name]).reshape(-1, HORIZON) for name in ("past", "came"))
    return Foretold(np.array(row["units"]), row["model"], past, came, row["whole"])
