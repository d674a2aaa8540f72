"""What each user adds to counts that leave the house, bounded exactly.

Every bound looks at one user's rows alone, so that taking a user away leaves what all others add as it was.
"""

from datetime import date, timedelta

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.catalogue.items import UNKNOWN
from jobs.profiles.cohorts import age_group

LATELY, WEEK = 28, 7  # days of buyers, of units
ITEMS = 50  # that a user counts for
UNITS = 10.0  # Euclidean norm of a user's units over the categories
THOUSAND, CENTS = 1000, 100  # what units and money are counted in, so that sums are whole
SHORT = 1e-9  # of what is cut down, kept back for the last digits of a root


def bought(log: DataFrame, days: int, day: date) -> DataFrame:
    """Purchase lines with an item of the last ``days`` days."""
    since = F.lit(day - timedelta(days=days))
    return log.where("event_type = 'purchase' AND item_id IS NOT NULL").where(
        (F.col("day") > since) & (F.col("day") <= F.lit(day))
    )


def buyers(lines: DataFrame) -> DataFrame:
    """``item_id`` and ``people``: a user counts once for each of up to ITEMS items, those of most lines first.

    One user changes the counts by at most the root of ITEMS in the Euclidean norm.
    """
    owned = lines.groupBy("user_id", "item_id").agg(F.count(F.lit(1)).alias("lines"))
    first = Window.partitionBy("user_id").orderBy(F.desc("lines"), F.xxhash64("user_id", "item_id"), "item_id")
    bounded = owned.withColumn("place", F.row_number().over(first)).where(F.col("place") <= ITEMS)
    return bounded.groupBy("item_id").agg(F.count(F.lit(1)).alias("people"))


def units(lines: DataFrame, items: DataFrame, per: tuple[str, ...] = ()) -> DataFrame:
    """``category`` and ``thousandths`` of units: a user's, over all categories, have at most the norm UNITS.

    A line without a quantity is one unit. Of one category a user counts for UNITS at most; what has a larger norm even
    so is shrunk to it in all categories alike.

    Args:
        lines: as :func:`bought`.
        items: catalogue.items of the night.
        per: columns of ``lines`` that tell releases apart which have a bound of their own each, such as a week.
    """
    most = int(UNITS * THOUSAND)
    categories = items.where(F.col("category") != UNKNOWN).select("item_id", "category")
    # decimals and whole numbers add up to the same in any order
    quantity = F.coalesce("quantity", F.lit(1.0)).cast("decimal(18,4)")
    own = (
        lines.join(categories, on="item_id", how="inner")
        .groupBy(*per, "user_id", "category")
        .agg(F.sum(quantity).alias("units"))
    )
    own = own.withColumn("own", F.least(F.floor(F.col("units") * THOUSAND), F.lit(most)).cast("bigint"))
    all_mine = Window.partitionBy(*per, "user_id").rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    norm = F.sqrt(F.sum(F.col("own") * F.col("own")).over(all_mine))
    shrunk = F.floor(F.col("own") * F.try_divide(F.lit(most), norm) * (1 - SHORT)).cast("bigint")
    bounded = own.withColumn("own", F.when(norm <= most, F.col("own")).otherwise(shrunk))
    return bounded.groupBy(*per, "category").agg(F.sum("own").alias("thousandths"))


def groups(users: DataFrame, most_value: float) -> DataFrame:
    """``segment``, ``people`` and ``cents``: value of 91 days of profiles.users, up to ``most_value`` of each user."""
    cents = F.floor(F.least("value", F.lit(most_value)) * CENTS).cast("bigint")
    return users.groupBy("segment").agg(F.count(F.lit(1)).alias("people"), F.sum(cents).alias("cents"))


def ages(users: DataFrame) -> DataFrame:
    """``age`` and ``people``, of users whose age is known."""
    told = users.select(age_group("attributes").alias("age")).where("age IS NOT NULL")
    return told.groupBy("age").agg(F.count(F.lit(1)).alias("people"))
