"""Exposures: the impressions of the log and the promotions a visitor met in a store, and what came of them."""

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.behaviour.consent import willing_pseudonyms
from jobs.reads import new, on, upto

READS = {
    "log": new("behaviour.log"),
    "promotions": upto("raw.promotions", optional=True),
    "wishes": on("raw.preferences", optional=True),
}

BUCKETS = 200  # one in so many of the promotions that sold nothing is kept
UNMOVED = 10  # one in so many of the impressions that were neither clicked nor bought is kept
SEED = 20170101

PERIOD = ["start_day", "end_day"]
EXPOSURE = ["day", "user_id", "item_id", "store_id"]


def exposures(log: DataFrame, promotions: DataFrame | None, wishes: DataFrame | None, *, day: date) -> DataFrame:
    """Impressions and promotions; weights add up to the number of all that there were, in expectation.

    An exposure is a user, an item, a store or none, and the night that it reached us. An impression of a promoted item
    counts as the impression: that it was shown is known of it, and only follows for the promotion. Who wants no profile
    has none.

    Args:
        log: new nights of behaviour.log.
        promotions: raw.promotions up to the night; None where the source has none.
        wishes: raw.preferences of the night; None where the shop has none.
        day: the night.
    """
    log = willing_pseudonyms(log, wishes)
    impressions = _impressions(log)
    if promotions is None:
        return impressions
    return _promotions(log, promotions).join(_shown(log), on=EXPOSURE, how="left_anti").unionByName(impressions)


def _impressions(log: DataFrame) -> DataFrame:
    """All impressions that were clicked or bought, with weight 1, and a tenth of the others, with weight 10.

    The sample is a hash of user, item and night, so that a rerun draws the same.
    """
    moved = F.col("bought") | F.coalesce("clicked", F.lit(False))
    drawn = F.pmod(_hash("user_id", "item_id", "day"), F.lit(UNMOVED)) == 0
    nothing = F.lit(None).cast("string")
    return (
        _with_outcomes(_shown(log), log)
        .where(moved | drawn)
        .select(
            *EXPOSURE,
            nothing.alias("display"),
            nothing.alias("mailer"),
            "clicked",
            "bought",
            F.when(moved, 1.0).otherwise(float(UNMOVED)).alias("weight"),
        )
    )


def _shown(log: DataFrame) -> DataFrame:
    """The log's impressions as it has them; ``day`` is the night that they reached us."""
    shown = log.where("event_type = 'impression' AND item_id IS NOT NULL")
    return shown.select(F.col("arrived").alias("day"), "user_id", "item_id", "store_id", "clicked")


def _with_outcomes(shown: DataFrame, log: DataFrame) -> DataFrame:
    """Each exposure of ``shown`` once, with ``clicked`` and ``bought``.

    A source tells of a click in the impression, whose word stands, or as an event of its own, which among our event
    types is a view. A view and a purchase count for every impression of the user and item that reached us in the same
    night: neither says which of them it came from. In a night with views an impression without one wasn't clicked.
    """
    happened = log.select(F.col("arrived").alias("day"), "user_id", "item_id", "event_type")
    viewed, bought = (F.max(F.col("event_type") == name) for name in ("view", "purchase"))
    outcomes = (
        happened.where("event_type IN ('view', 'purchase')")
        .groupBy("day", "user_id", "item_id")
        .agg(viewed.alias("viewed"), bought.alias("bought"))
    )
    nights = happened.where("event_type = 'view'").select("day", F.lit(True).alias("has_views")).distinct()
    clicked = F.coalesce("clicked", F.when(F.col("has_views"), F.coalesce("viewed", F.lit(False))))
    return (
        shown.groupBy(*EXPOSURE)
        .agg(F.max("clicked").alias("clicked"))
        .join(outcomes, on=["day", "user_id", "item_id"], how="left")
        .join(F.broadcast(nights), on="day", how="left")
        .select(*EXPOSURE, clicked.alias("clicked"), F.coalesce("bought", F.lit(False)).alias("bought"))
    )


def _promotions(log: DataFrame, promotions: DataFrame) -> DataFrame:
    """All promotions that sold, with weight 1, and a 200th of those that didn't, with weight 200.

    One is a visit and an item that the store promoted on the day of the visit. A visit is what a user bought in a store
    and reached us in one night; its ``day`` is that night, which is the day of the visit unless it came late.

    The whole join (hundreds of millions of rows) is never made. Visits and promoted items are hashed into 200 buckets
    each, and a visit meets only the items of its own bucket: every pair is kept with probability 1/200, any two pairs
    independently of each other, and the same pairs again on a rerun. A bought item meets its own promotion.
    """
    lines = log.where("event_type = 'purchase'").select(
        F.col("arrived").alias("day"), "user_id", "store_id", F.col("day").alias("visited"), "item_id"
    )
    return (
        _meetings(lines, promotions)
        # an item bought in the visit's own bucket is met twice, and so is one under two promotions
        .groupBy(*EXPOSURE)
        .agg(
            F.max(F.struct("start_day", "display", "mailer")).alias("latest"),
            F.max(F.col("bought_id").isNotNull()).alias("bought"),
        )
        .select(
            *EXPOSURE,
            "latest.display",
            "latest.mailer",
            F.lit(None).cast("boolean").alias("clicked"),
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
    return F.pmod(_hash(*columns), F.lit(BUCKETS))


def _hash(*columns: str) -> Column:
    return F.xxhash64(F.lit(SEED), *columns)
