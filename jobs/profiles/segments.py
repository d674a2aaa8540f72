"""Segments: groups of customers who buy alike, with names that say how, known again from night to night."""

import logging
from collections.abc import Callable, Iterator
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.newest import newest
from jobs.profiles.clusters import FEATURES, Groups, Known, find, one, recognised
from jobs.reads import before, on

log = logging.getLogger(__name__)

LOOKED_BACK = 7  # nights, of which the latest that was made is what segments are known by
READS = {
    "customers": on("profiles.customers"),
    "users": on("profiles.users"),
    "last": before("profiles.segments", nights=LOOKED_BACK, optional=True),
}

SAMPLE = 10_000  # customers that the groups are found in: what that costs doesn't grow with the shop
FEWEST = 20  # customers; fewer are one segment
FOUND = "user_id string, place int, distance double"


def segments(customers: DataFrame, users: DataFrame, last: DataFrame | None, *, day: date) -> DataFrame:
    """One row a customer.

    Groups are found in the logarithms of recency, frequency and money, and in variety, price level and discount share,
    each standardised, by SAMPLE customers with the smallest hashes of their ids; all are put to the nearest centre.

    Args:
        customers: profiles.customers of the night.
        users: profiles.users of the night.
        last: profiles.segments of the nights before; None where there is no such table yet.
        day: the night.
    """
    rows = _features(customers, users)
    sample = rows.orderBy(F.xxhash64("user_id"), "user_id").limit(SAMPLE).toArrow()
    known = _known(last)
    last = None if last is None else newest(last)
    groups = _found(customers.sparkSession, _matrix(sample), known)
    ids, names, moved = recognised(groups, known)
    told = customers.sparkSession.createDataFrame(_told(groups, ids, names, moved))
    placed = rows.mapInArrow(_placer(groups), FOUND).join(F.broadcast(told), on="place", how="inner")
    placed = _with_last(placed, last)
    return placed.select(
        F.lit(day).alias("day"),
        "user_id",
        "segment_id",
        "segment",
        "previous_id",
        "distance",
        "centre",
        "moved",
        F.lit(_changed(placed, known)).cast("double").alias("changed"),
        F.lit(groups.silhouette).cast("double").alias("silhouette"),
    )


def _told(groups: Groups, ids: np.ndarray, names: list[str], moved: np.ndarray) -> pa.Table:
    """One row a group, by its place among the centres; what no customer is known by is null in its ``centre``."""
    plain = [[None if np.isnan(each) else each for each in centre] for centre in groups.plain().tolist()]
    centres = [list(zip(FEATURES, centre, strict=True)) for centre in plain]
    return pa.table(
        {
            "place": pa.array(range(len(ids)), pa.int32()),
            "segment_id": pa.array(ids, pa.int32()),
            "segment": names,
            "centre": pa.array(centres, pa.map_(pa.string(), pa.float64())),
            "moved": pa.array(moved, from_pandas=True),
        }
    )


def _features(customers: DataFrame, users: DataFrame) -> DataFrame:
    """``user_id`` and FEATURES; null for unknown."""
    of_users = users.select("user_id", "variety", "price_level", "discount_share")
    return customers.join(of_users, on="user_id", how="left").select(
        "user_id",
        _log("recency_days").alias("recency"),
        _log("frequency").alias("frequency"),
        _log("monetary").alias("monetary"),
        "variety",
        "price_level",
        "discount_share",
    )


def _log(name: str) -> Column:
    return F.log1p(F.col(name).cast("double"))


def _matrix(rows: pa.Table | pa.RecordBatch) -> np.ndarray:
    """float64[n, d]: FEATURES, NaN for unknown."""
    columns = [rows[name] for name in FEATURES]
    chunks = [column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column for column in columns]
    # pyarrow fills what is null with NaN
    return np.stack([np.asarray(chunk.to_numpy(zero_copy_only=False), np.float64) for chunk in chunks], axis=1)


def _known(last: DataFrame | None) -> Known | None:
    """The segments of the latest night, and the largest id of all nights; None if they left no row."""
    if last is None:
        return None
    rows = (
        newest(last).groupBy("segment_id").agg(F.first("segment").alias("segment"), F.first("centre").alias("centre"))
    )
    told = sorted(rows.collect(), key=lambda row: row["segment_id"])
    if not told:
        return None
    centres = [[row["centre"].get(name) for name in FEATURES] for row in told]
    ids = np.array([row["segment_id"] for row in told], dtype=np.int64)
    largest = last.agg(F.max("segment_id")).first()[0]
    return Known(ids, [row["segment"] for row in told], np.array(centres, dtype=np.float64), largest)


def _found(spark, rows: np.ndarray, known: Known | None) -> Groups:
    if len(rows) < FEWEST:
        log.warning("profiles.segments: %d customers, segments need %d: one segment", len(rows), FEWEST)
        return one(rows)
    groups = find(spark, rows, None if known is None else len(known.ids))
    if len(groups.centres) == 1:
        log.warning("profiles.segments: all %d customers are alike: one segment", len(rows))
    return groups


def _placer(groups: Groups) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for ``mapInArrow``: rows of :func:`_features` to FOUND."""

    def place(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            places, distances = groups.nearest(_matrix(batch))
            columns = [batch["user_id"], pa.array(places, pa.int32()), pa.array(distances, pa.float64())]
            yield pa.RecordBatch.from_arrays(columns, ["user_id", "place", "distance"])

    return place


def _with_last(placed: DataFrame, last: DataFrame | None) -> DataFrame:
    if last is None:
        return placed.withColumn("previous_id", F.lit(None).cast("int"))
    then = last.select("user_id", F.col("segment_id").alias("previous_id"))
    return placed.join(then, on="user_id", how="left")


def _changed(placed: DataFrame, known: Known | None) -> float | None:
    """Of the customers of both nights, the share whose segment is another one."""
    if known is None:
        return None
    both = placed.where("previous_id IS NOT NULL").select((F.col("segment_id") != F.col("previous_id")).alias("other"))
    counted = both.agg(F.count("other").alias("both"), F.count_if("other").alias("others")).first()
    return counted["others"] / counted["both"] if counted["both"] else None
