"""What each user likes: favourite categories and brands of the long run and of the last days, variety, price level."""

from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.catalogue.items import UNKNOWN
from jobs.profiles.totals import decayed
from schemas.profiles import HALF_LIFE, HALF_LIVES

FAVOURITES = 10
SAMPLE = 2_000  # users that the half-life is fitted to: what that costs doesn't grow with the shop
FEWEST = 1_000  # lines of theirs in the last week; fewer tell nothing
DOUBT = 0.05  # share of a forecast that is spread over all categories alike
WEIGHT = "decimal(28,12)"  # decimals add up to the same in any order, doubles don't


def tastes(totals: DataFrame, items: DataFrame, day: date) -> DataFrame:
    """One row a user who took or looked at an item of the catalogue: see the columns of profiles.users.

    Args:
        totals: profiles.totals of the night, of those who may be profiled.
        items: catalogue.items of the night.
        day: the night.
    """
    goods, kinds = _ranked(items), _kinds(items)
    sample = totals.orderBy("user_id").limit(SAMPLE)  # pseudonyms are hashes: the first are anybody
    chosen = half_life(_weights(sample, goods, day), kinds)
    place = F.array_position(F.array(*map(F.lit, HALF_LIVES)), F.col("half_life_days")).cast("int")
    weights = _weights(totals, goods, day).crossJoin(F.broadcast(chosen))
    named = weights.withColumn("weight", F.element_at(F.array(*(f"now_{each}" for each in HALF_LIVES)), place))
    by_user = named.groupBy("user_id").agg(
        F.first("half_life_days").alias("half_life_days"),
        F.try_divide(F.sum("ranks").cast("double"), F.sum("ranked")).alias("price_level"),
        _shares("category", "weight").alias("categories"),
        _shares("brand", "weight").alias("brands"),
        _shares("category", "interest").alias("intent"),
    )
    terms = F.transform("categories", lambda one: -one["share"] * F.ln(one["share"]))
    entropy = F.aggregate(terms, F.lit(0.0), lambda total, term: total + term)
    known = (F.col("kinds") > 1) & (F.size("categories") > 0)
    return by_user.crossJoin(F.broadcast(kinds)).select(
        "user_id",
        "price_level",
        "half_life_days",
        *(_largest(name).alias(name) for name in ("categories", "brands", "intent")),
        F.when(known, F.least(entropy / F.ln("kinds"), F.lit(1.0))).alias("variety"),
    )


def half_life(weights: DataFrame, kinds: DataFrame) -> DataFrame:
    """One row: ``half_life_days``, by which the shares of a week ago foretell the last week's categories best.

    Best is the largest log-likelihood of the week's purchase lines, a share DOUBT of each forecast being spread over
    all categories alike; the usual half-life where none is better, or too little was bought to tell.

    Args:
        weights: rows of a few users as :func:`tastes` counts them.
        kinds: the number of categories, one row.
    """
    mine = weights.where("kind = 'category'").crossJoin(F.broadcast(kinds))
    user = Window.partitionBy("user_id").rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    told = mine.select(
        "bought",
        "kinds",
        *(F.col(f"then_{each}").cast("double").alias(f"then_{each}") for each in HALF_LIVES),
        *(F.sum(f"then_{each}").over(user).cast("double").alias(f"all_{each}") for each in HALF_LIVES),
    ).where(f"bought > 0 AND all_{max(HALF_LIVES)} > 0")
    likely = {}
    for each in HALF_LIVES:
        share = F.coalesce(F.try_divide(f"then_{each}", f"all_{each}"), 1 / F.col("kinds"))
        likely[each] = F.ln((1 - DOUBT) * share + DOUBT / F.col("kinds")) * F.col("bought")
    sums = told.agg(
        F.coalesce(F.sum("bought"), F.lit(0)).alias("bought"),
        *(F.sum(likely[each].cast(WEIGHT)).alias(f"likely_{each}") for each in HALF_LIVES),
    )
    best = F.greatest(
        *(
            F.struct(F.col(f"likely_{each}").alias("likely"), F.lit(each == HALF_LIFE), F.lit(each).alias("days"))
            for each in HALF_LIVES
        )
    )
    return sums.select(F.when(F.col("bought") >= FEWEST, best["days"]).otherwise(HALF_LIFE).alias("half_life_days"))


def _kinds(items: DataFrame) -> DataFrame:
    return items.where(F.col("category") != UNKNOWN).agg(F.count_distinct("category").alias("kinds"))


def _ranked(items: DataFrame) -> DataFrame:
    """Items with category, brand, and the percent rank of their price within the category."""
    in_category = Window.partitionBy("category", F.col("price").isNull())
    everywhere = in_category.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    comparable = F.col("price").isNotNull() & (F.col("category") != UNKNOWN) & (F.count(F.lit(1)).over(everywhere) > 1)
    rank = F.percent_rank().over(in_category.orderBy("price")).cast("decimal(18,12)")
    return items.select(
        "item_id",
        F.when(F.col("category") != UNKNOWN, F.col("category")).alias("category"),
        "brand",
        F.when(comparable, rank).alias("price_rank"),
    )


def _weights(totals: DataFrame, goods: DataFrame, day: date) -> DataFrame:
    """Per user, kind (category or brand) and name: decayed lines for each half-life, and what was taken of late.

    ``then_H`` are lines of more than a week ago, ``now_H`` all of them, as they weigh tonight.
    """
    nothing = F.lit(None).cast("decimal(18,12)")
    both = F.array(
        F.struct(F.lit("category").alias("kind"), F.col("category").alias("name"), "price_rank"),
        F.struct(F.lit("brand").alias("kind"), F.col("brand").alias("name"), nothing.alias("price_rank")),
    )
    sums = [f"{when}_{each}" for when in ("then", "now") for each in HALF_LIVES] + ["bought", "interest"]
    return (
        _entries(totals, day)
        .join(goods, on="item_id", how="inner")
        .select("user_id", "lines", *sums, F.inline(both))
        .where("name IS NOT NULL")
        .groupBy("user_id", "kind", "name")
        .agg(
            *(F.sum(name).alias(name) for name in sums),
            F.sum(F.col("price_rank") * F.col("lines").cast("decimal(15,0)")).alias("ranks"),
            F.sum(F.when(F.col("price_rank").isNotNull(), F.col("lines"))).alias("ranked"),
        )
    )


def _entries(totals: DataFrame, day: date) -> DataFrame:
    """Per user and item: lines that have settled, and those of the last days."""
    none, night = F.lit(0).cast("bigint"), F.lit(day)
    held, recent = (totals.select("user_id", F.inline(name)) for name in ("items", "recent"))
    then = {
        each: (F.col("weights")[place] * decayed(F.datediff(night, "settled"), each)).cast(WEIGHT)
        for place, each in enumerate(HALF_LIVES)
    }
    now = {each: (F.col("lines") * decayed(F.datediff(night, "day"), each)).cast(WEIGHT) for each in HALF_LIVES}
    return held.select(
        *("user_id", "item_id", "lines"),
        *(weight.alias(f"{when}_{each}") for when in ("then", "now") for each, weight in then.items()),
        none.alias("bought"),
        none.alias("interest"),
    ).unionByName(
        recent.select(
            *("user_id", "item_id", "lines"),
            *(F.lit(0).cast(WEIGHT).alias(f"then_{each}") for each in HALF_LIVES),
            *(weight.alias(f"now_{each}") for each, weight in now.items()),
            F.col("lines").alias("bought"),
            (F.col("lines") + F.col("looks")).alias("interest"),
        )
    )


def _shares(kind: str, by: str) -> Column:
    """Of a user's rows: each name of ``kind`` with its share of ``by``, largest first, ties by name."""
    mine = (F.col("kind") == kind) & (F.col(by) > 0)
    total = F.sum(F.when(mine, F.col(by))).cast("double")
    ranked = F.sort_array(F.collect_list(F.when(mine, F.struct((-F.col(by)).alias("minus"), "name"))))
    return F.transform(ranked, lambda one: F.struct(one["name"], (-one["minus"].cast("double") / total).alias("share")))


def _largest(shares: str) -> Column:
    return F.map_from_entries(F.slice(shares, 1, FAVOURITES))
