"""What profiles.users and profiles.customers are made of: each user's totals so far, carried from night to night."""

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

import schemas
from jobs.behaviour.consent import unprofiled
from jobs.behaviour.histories import INTEREST
from jobs.reads import before, new, on
from schemas.profiles import HALF_LIVES, LATELY

READS = {
    "log": new("behaviour.log"),
    "known": before("profiles.totals", nights=1, optional=True),
    "earlier": before("behaviour.log"),
    "preferences": on("profiles.preferences"),
}

BOUGHT, RETURNED = "event_type = 'purchase'", "event_type = 'return'"
MONEY = "decimal(28,4)"
TOLD = "amount IS NOT NULL AND discount IS NOT NULL"


def totals(
    log: DataFrame, known: DataFrame | None, earlier: DataFrame | None, preferences: DataFrame, *, day: date
) -> DataFrame:
    """One row a user of the log; of who wants no profile, the pseudonym alone.

    Nights made one by one give the same bits as all of them at once: counts, days and decimals don't ask in which order
    they come, and the decayed weights, which are doubles, are added up in one order that both have. A line settles when
    it is a week old, or on the night it arrived if it was older by then; lines settle by (settled, day). Before that
    they stand in ``recent``, so that ``items`` are what was known a week ago.

    Args:
        log: behaviour.log of the nights since ``known``.
        known: this table's last night; None on the first.
        earlier: behaviour.log up to ``known``; read only for those who take back their wish for no profile.
        preferences: profiles.preferences of the night.
        day: the night.
    """
    refusing = unprofiled(preferences)
    if known is None:
        known = log.sparkSession.createDataFrame([], schemas.table("profiles.totals").ddl)
    back = known.where("refused").select("user_id").join(refusing, "user_id", how="left_anti")
    if earlier is not None and not back.isEmpty():
        log = log.unionByName(earlier.join(back, "user_id", how="left_semi"))
    everybody = log.select("user_id").unionByName(known.select("user_id")).distinct()
    rows = everybody.join(refusing.withColumn("refused", F.lit(True)), "user_id", how="left")
    log = log.join(refusing, "user_id", how="left_anti")
    known = known.where("NOT refused").join(refusing, "user_id", how="left_anti")
    lines = _lines(log, known)
    parts = (
        _counts(log, known),
        _baskets(log, known),
        _visits(log, known),
        _recent(lines.where(F.col("settles") > F.lit(day))),
        _items(lines.where(F.col("settles") <= F.lit(day)), known),
        _prices(log, known),
    )
    for part in parts:
        rows = rows.join(part, "user_id", how="left")
    lists = ("baskets", "visits", "recent", "items", "prices")
    types = {column.name: column.type for column in schemas.table("profiles.totals").columns}
    return rows.select(
        F.lit(day).alias("day"),
        "user_id",
        F.coalesce("refused", F.lit(False)).alias("refused"),
        *(F.coalesce(name, F.lit(0)).alias(name) for name in ("events", "purchases")),
        *("first_day", "last_day", "discount", "shelf"),
        *(F.coalesce(name, F.array().cast(types[name])).alias(name) for name in lists),
    )


def decayed(days: Column, half_life: int) -> Column:
    """What one line weighs after ``days``."""
    return F.pow(F.lit(2.0), -days / half_life)


def _counts(log: DataFrame, known: DataFrame) -> DataFrame:
    told = F.expr(f"{BOUGHT} AND {TOLD}")
    # decimals add up to the same in any order, doubles don't
    discount, amount = (F.col(name).cast("decimal(18,4)") for name in ("discount", "amount"))
    fresh = log.groupBy("user_id").agg(
        F.count(F.lit(1)).alias("events"),
        F.count_if(F.expr(BOUGHT)).alias("purchases"),
        F.min("day").alias("first_day"),
        F.max("day").alias("last_day"),
        F.sum(F.when(told, discount)).cast(MONEY).alias("discount"),
        F.sum(F.when(told, discount + amount)).cast(MONEY).alias("shelf"),
    )
    both = fresh.unionByName(known.select(*fresh.columns))
    sums = (F.sum(name).alias(name) for name in ("events", "purchases", "discount", "shelf"))
    return both.groupBy("user_id").agg(
        *sums, F.min("first_day").alias("first_day"), F.max("last_day").alias("last_day")
    )


def _baskets(log: DataFrame, known: DataFrame) -> DataFrame:
    bought = log.where(BOUGHT).select(
        "user_id",
        F.xxhash64(F.coalesce("basket_id", "session_id")).alias("basket"),
        F.col("ts").alias("began"),
        F.col("day").alias("last"),
    )
    every = bought.unionByName(known.select("user_id", F.inline("baskets")))
    once = every.groupBy("user_id", "basket").agg(F.min("began").alias("began"), F.max("last").alias("last"))
    return _listed(once, "began", "basket", "last", name="baskets")


def _visits(log: DataFrame, known: DataFrame) -> DataFrame:
    sign = F.when(F.expr(RETURNED), -1).otherwise(1)
    fresh = (
        log.where(f"{BOUGHT} OR {RETURNED}")
        .groupBy("user_id", "day")
        .agg(
            F.count_if(F.expr(BOUGHT)).alias("lines"),
            F.sum(F.col("amount").cast("decimal(18,4)") * sign).cast(MONEY).alias("money"),
        )
    )
    both = fresh.unionByName(known.select("user_id", F.inline("visits")))
    daily = both.groupBy("user_id", "day").agg(F.sum("lines").alias("lines"), F.sum("money").cast(MONEY).alias("money"))
    return _listed(daily, "day", "lines", "money", name="visits")


def _prices(log: DataFrame, known: DataFrame) -> DataFrame:
    """What each item was bought for: numbers of lines, and sums of logarithms, which tell its mean and variance."""
    price = F.when(F.col("unit_price") > 0, F.ln("unit_price"))
    fresh = (
        log.where(f"{BOUGHT} AND item_id IS NOT NULL")
        .groupBy("user_id", "item_id")
        .agg(
            F.count_if(F.expr(TOLD)).alias("told"),
            F.count_if(F.expr(f"{TOLD} AND discount > 0")).alias("discounted"),
            F.count(price).alias("priced"),
            # decimals add up to the same in any order
            *(
                F.coalesce(F.sum(each.cast("decimal(18,9)")), F.lit(0)).cast("decimal(28,9)").alias(name)
                for name, each in (("logs", price), ("squares", price * price))
            ),
        )
    )
    both = fresh.where("told + priced > 0").unionByName(known.select("user_id", F.inline("prices")))
    counts = (F.sum(name).alias(name) for name in ("told", "discounted", "priced"))
    sums = (F.sum(name).cast("decimal(28,9)").alias(name) for name in ("logs", "squares"))
    summed = both.groupBy("user_id", "item_id").agg(*counts, *sums)
    return _listed(summed, "item_id", "told", "discounted", "priced", "logs", "squares", name="prices")


def _lines(log: DataFrame, known: DataFrame) -> DataFrame:
    """Of each user, item and day that hadn't settled: purchase lines, other signs of interest, and when they settle."""
    fresh = (
        log.where(f"item_id IS NOT NULL AND ({BOUGHT} OR {INTEREST})")
        .groupBy("user_id", "item_id", "day", F.greatest(F.date_add("day", LATELY), "arrived").alias("settles"))
        .agg(F.count_if(F.expr(BOUGHT)).alias("lines"), F.count_if(~F.expr(BOUGHT)).alias("looks"))
    )
    waiting = known.select("user_id", F.inline("recent")).withColumn("settles", F.date_add("day", LATELY))
    return fresh.unionByName(waiting)


def _recent(lines: DataFrame) -> DataFrame:
    daily = lines.groupBy("user_id", "item_id", "day").agg(F.sum("lines").alias("lines"), F.sum("looks").alias("looks"))
    return _listed(daily, "item_id", "day", "lines", "looks", name="recent")


def _items(lines: DataFrame, known: DataFrame) -> DataFrame:
    """Each item's lines that have settled, and what they weigh: those of before, and then those of now one by one."""
    daily = lines.where("lines > 0").groupBy("user_id", "item_id", "settles", "day").agg(F.sum("lines").alias("lines"))
    come = daily.select("user_id", "item_id", F.struct("settles", "day", "lines").alias("come"))
    held = known.select("user_id", F.inline("items"))
    held = held.select("user_id", "item_id", F.struct("lines", "settled", "weights").alias("held"))
    both = (
        come.unionByName(held, allowMissingColumns=True)
        .groupBy("user_id", "item_id")
        .agg(F.sort_array(F.collect_list("come")).alias("come"), F.first("held", ignorenulls=True).alias("held"))
    )
    nothing = F.struct(
        F.lit(0).cast("bigint").alias("lines"),
        F.lit(None).cast("date").alias("settled"),
        F.array(*(F.lit(0.0) for _ in HALF_LIVES)).alias("weights"),
    )
    settled = both.withColumn("held", F.aggregate("come", F.coalesce("held", nothing), _with))
    return _listed(
        settled.select("user_id", "item_id", "held.*"), "item_id", "lines", "settled", "weights", name="items"
    )


def _with(held: Column, come: Column) -> Column:
    passed = F.coalesce(F.datediff(come["settles"], held["settled"]), F.lit(0))
    age = F.datediff(come["settles"], come["day"])
    weights = [
        held["weights"][place] * decayed(passed, half_life) + come["lines"] * decayed(age, half_life)
        for place, half_life in enumerate(HALF_LIVES)
    ]
    return F.struct(
        (held["lines"] + come["lines"]).alias("lines"),
        come["settles"].alias("settled"),
        F.array(*weights).alias("weights"),
    )


def _listed(rows: DataFrame, *columns: str, name: str) -> DataFrame:
    """Each user's rows as one sorted array."""
    return rows.groupBy("user_id").agg(F.sort_array(F.collect_list(F.struct(*columns))).alias(name))
