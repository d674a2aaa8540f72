"""Exposures: the promotions a visitor met in a store, and whether they bought."""

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.reads import new, upto
from schemas import table

READS = {"log": new("behaviour.log"), "promotions": upto("raw.promotions", optional=True)}

BUCKETS = 200  # one in so many of the exposures that sold nothing is kept
SEED = 20170101

PERIOD = ["start_day", "end_day"]


def exposures(log: DataFrame, promotions: DataFrame | None, *, day: date) -> DataFrame:
    """All exposures that sold, with weight 1, and a 200th of those that didn't, with weight 200.

    An exposure is a visit and an item that the store promoted on the day of the visit. A visit is what a user bought in
    a store and reached us in one night; its ``day`` is that night, which is the day of the visit unless it came late.

    The whole join (hundreds of millions of rows) is never made. Visits and promoted items are hashed into 200 buckets
    each, and a visit meets only the items of its own bucket: every pair is kept with probability 1/200, any two pairs
    independently of each other, and the same pairs again on a rerun. A bought item meets its own promotion. Weights add
    up to the size of the whole join, in expectation.

    Args:
        log: new nights of behaviour.log.
        promotions: raw.promotions up to the night; None where the source has none, which gives no rows.
        day: the night.
    """
    if promotions is None:
        columns = table("behaviour.exposures").columns
        return log.where(F.lit(False)).select(*(F.lit(None).cast(column.type).alias(column.name) for column in columns))
    lines = log.where("event_type = 'purchase'").select(
        F.col("arrived").alias("day"), "user_id", "store_id", F.col("day").alias("visited"), "item_id"
    )
    return (
        _meetings(lines, promotions)
        # an item bought in the visit's own bucket is met twice, and so is one under two promotions
        .groupBy("day", "user_id", "item_id", "store_id")
        .agg(
            F.max(F.struct("start_day", "display", "mailer")).alias("latest"),
            F.max(F.col("bought_id").isNotNull()).alias("bought"),
        )
        .select(
            "day",
            "user_id",
            "item_id",
            "store_id",
            "latest.display",
            "latest.mailer",
            "bought",
            F.when(F.col("bought"), 1.0).otherwise(float(BUCKETS)).alias("weight"),
        )
    )


def _meetings(lines: DataFrame, promotions: DataFrame) -> DataFrame:
    """Promotions with the visits of their bucket (``bought_id`` null) and with the lines that bought them."""
    promotions = promotions.drop("day")
    visits = lines.drop("item_id").distinct().withColumn("bucket", _bucket("user_id", "store_id", "day"))
    bought = lines.withColumn("bucket", _bucket("item_id", "store_id")).withColumnRenamed("item_id", "bought_id")
    # a year has some fifty periods: cheaper to name a visit's periods first than to compare days row by row
    running = F.col("visited").between(F.col("start_day"), F.col("end_day"))
    periods = F.broadcast(promotions.select(*PERIOD).distinct())
    seekers = visits.unionByName(bought, allowMissingColumns=True).join(periods, on=running, how="inner")
    # on an ordinary night this leaves the promotions of a week, and only those are shuffled
    visited = periods.join(F.broadcast(lines.select("visited").distinct()), on=running, how="left_semi")
    promoted = promotions.join(F.broadcast(visited), on=PERIOD, how="left_semi")
    return (
        # the seekers are the small side: a table of them per partition saves sorting the promotions
        seekers.hint("shuffle_hash")
        .join(
            promoted.withColumn("bucket", _bucket("item_id", "store_id")),
            on=[*PERIOD, "store_id", "bucket"],
            how="inner",
        )
        .where(F.col("bought_id").isNull() | (F.col("bought_id") == F.col("item_id")))
    )


def _bucket(*columns: str) -> Column:
    return F.pmod(F.xxhash64(F.lit(SEED), *columns), F.lit(BUCKETS))
