"""How items sell of late, and how often the same user takes one again: what moves relevance from night to night."""

from datetime import UTC, date, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.reads import on
from schemas.catalogue import TREND_HALF_LIVES

READS = {"histories": on("behaviour.histories")}

MICROSECONDS_A_DAY = 86_400_000_000
WEEK = 7  # days
DECAYED = "decimal(38,18)"
NAMES = {f"trend_{each}d": each for each in TREND_HALF_LIVES}


def trends(histories: DataFrame, *, day: date) -> DataFrame:
    """One row an item of anybody's history; weeks are counted back from the end of the night.

    A user's weeks after the one in which they first took an item are ``weeks``; those in which they took it again,
    ``weeks_again``. Training counts the same from the same histories at the midnights that it asks about.

    Args:
        histories: behaviour.histories of the night.
        day: the night.
    """
    end = int(datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC).timestamp()) * 1_000_000
    taken = histories.select("user_id", F.explode(F.arrays_zip("item_ids", "times")).alias("taken"))
    age = (F.lit(end) - F.unix_micros("taken.times")) / MICROSECONDS_A_DAY
    lines = taken.select("user_id", F.col("taken.item_ids").alias("item_id"), age.alias("age"))
    week = F.floor(F.col("age") / WEEK)
    pairs = lines.groupBy("user_id", "item_id").agg(
        # decimals add up to the same in any order, and a rerun must give the same table
        *(F.sum(F.pow(F.lit(0.5), F.col("age") / each).cast(DECAYED)).alias(name) for name, each in NAMES.items()),
        F.max(week).alias("weeks"),
        (F.count_distinct(week) - 1).alias("weeks_again"),
    )
    totals = pairs.groupBy("item_id").agg(
        *(F.sum(name).cast("double").alias(name) for name in NAMES),
        *(F.sum(name).alias(name) for name in ("weeks", "weeks_again")),
    )
    return totals.withColumn("day", F.lit(day))
