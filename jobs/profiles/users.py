"""User profiles: what each shopper buys, how often, for how much, and how varied."""

from datetime import date, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.behaviour.consent import unprofiled
from jobs.behaviour.pseudonym import pseudonym_key, pseudonymised
from jobs.catalogue.items import UNKNOWN
from jobs.reads import on, upto
from schemas.profiles import NEW, OCCASIONAL, RECENT

READS = {
    "log": upto("behaviour.log"),
    "items": on("catalogue.items"),
    "people": on("raw.users", optional=True),
    "preferences": on("profiles.preferences"),
}

HALF_LIFE = 91  # days, of favourite categories and brands
FAVOURITES = 10


def users(
    log: DataFrame, items: DataFrame, people: DataFrame | None, preferences: DataFrame, *, day: date
) -> DataFrame:
    """One row a user of the log or of the shop's user list, those without an event in segment ``none``.

    Money returned within the 91 days is taken off ``value``, down to 0. ``price_level`` is the mean, over purchase
    lines, of the percent rank of the item's price among the priced items of its category. Shares are of the lines whose
    category (brand) is known. ``variety`` is Shannon's entropy of the category shares, all of them, divided by the
    logarithm of the number of categories in the catalogue: 0 buys one category, 1 all of them alike. Who wants no
    profile has the row of a user of whom nothing is known.

    Args:
        log: behaviour.log up to the night.
        items: catalogue.items of the night.
        people: raw.users of the night; None where the shop has no user list.
        preferences: profiles.preferences of the night.
        day: the night.
    """
    known = None
    if people is not None:
        known = pseudonymised(people.select("user_id", "attributes"), pseudonym_key())
    refusing = unprofiled(preferences)
    theirs = log if known is None else log.select("user_id").unionByName(known.select("user_id"))
    nameless = theirs.join(refusing, "user_id", how="left_semi").select("user_id").distinct()
    log = log.join(refusing, "user_id", how="left_anti")
    lines = _bought(log, items, day)
    seen = _counted(log, day).join(_tastes(lines, items), on="user_id", how="left")
    baskets = F.coalesce("recent_baskets", F.lit(0))
    segment = (
        F.when(baskets == 0, "none")
        .when(baskets <= NEW, "new")
        .when(baskets <= OCCASIONAL, "occasional")
        .otherwise("loyal")
    )
    rows = _with_attributes(seen, known, refusing).unionByName(nameless, allowMissingColumns=True)
    return rows.select(
        F.lit(day).alias("day"),
        "user_id",
        segment.alias("segment"),
        F.coalesce("attributes", _empty_map("string")).alias("attributes"),
        *(F.coalesce(name, F.lit(0)).alias(name) for name in ("events", "purchases", "baskets")),
        "first_day",
        "last_day",
        F.datediff(F.lit(day), "last_purchase").alias("recency_days"),
        (baskets / (RECENT / 7)).alias("frequency"),
        F.greatest(F.coalesce("spent", F.lit(0.0)), F.lit(0.0)).alias("value"),
        "price_level",
        "discount_share",
        F.coalesce("categories", _empty_map("double")).alias("categories"),
        F.coalesce("brands", _empty_map("double")).alias("brands"),
        "variety",
    )


def _with_attributes(seen: DataFrame, known: DataFrame | None, refusing: DataFrame) -> DataFrame:
    if known is None:
        return seen.withColumn("attributes", _empty_map("string"))
    return seen.join(known.join(refusing, "user_id", how="left_anti"), on="user_id", how="full")


def _counted(log: DataFrame, day: date) -> DataFrame:
    """Per user of the log: events, lines, baskets, days and money. Baskets first, so that each is counted once."""
    bought, returned = F.col("event_type") == "purchase", F.col("event_type") == "return"
    recent = F.col("day") > F.lit(day - timedelta(days=RECENT))
    known = bought & F.col("discount").isNotNull() & F.col("amount").isNotNull()
    sign = F.when(bought & recent, 1).when(returned & recent, -1)
    baskets = log.groupBy("user_id", F.when(bought, F.coalesce("basket_id", "session_id")).alias("basket")).agg(
        F.count(F.lit(1)).alias("events"),
        F.count_if(bought).alias("purchases"),
        F.min("day").alias("first_day"),
        F.max("day").alias("last_day"),
        F.max(F.when(bought, F.col("day"))).alias("last_purchase"),
        F.sum(_money("amount") * sign).alias("spent"),
        F.sum(F.when(known, _money("discount"))).alias("discount"),
        F.sum(F.when(known, _money("discount") + _money("amount"))).alias("shelf"),
    )
    since = F.lit(day - timedelta(days=RECENT))
    return baskets.groupBy("user_id").agg(
        F.sum("events").alias("events"),
        F.sum("purchases").alias("purchases"),
        F.count("basket").alias("baskets"),
        F.count_if(F.col("last_purchase") > since).alias("recent_baskets"),
        F.min("first_day").alias("first_day"),
        F.max("last_day").alias("last_day"),
        F.max("last_purchase").alias("last_purchase"),
        F.sum("spent").cast("double").alias("spent"),
        F.try_divide(F.sum("discount").cast("double"), F.sum("shelf").cast("double")).alias("discount_share"),
    )


def _bought(log: DataFrame, items: DataFrame, day: date) -> DataFrame:
    """Purchase lines with the item's category, brand and price rank, and their weight by age."""
    in_category = Window.partitionBy("category", F.col("price").isNull())
    everywhere = in_category.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    comparable = F.col("price").isNotNull() & (F.col("category") != UNKNOWN) & (F.count(F.lit(1)).over(everywhere) > 1)
    rank = F.percent_rank().over(in_category.orderBy("price")).cast("decimal(18,12)")
    ranked = items.select(
        "item_id",
        F.when(F.col("category") != UNKNOWN, F.col("category")).alias("category"),
        "brand",
        F.when(comparable, rank).alias("price_rank"),
    )
    weight = F.pow(F.lit(2.0), -F.datediff(F.lit(day), "day") / HALF_LIFE).cast("decimal(18,12)")
    return (
        log.where("event_type = 'purchase'")
        .select("user_id", "item_id", weight.alias("weight"))
        .join(ranked, on="item_id", how="inner")
    )


def _tastes(lines: DataFrame, items: DataFrame) -> DataFrame:
    """Per buyer: favourite categories and brands, variety and price level, in one pass over the lines."""
    nothing = F.lit(None).cast("decimal(18,12)")
    both = F.array(
        F.struct(F.lit("category").alias("kind"), F.col("category").alias("name"), "price_rank"),
        F.struct(F.lit("brand").alias("kind"), F.col("brand").alias("name"), nothing.alias("price_rank")),
    )
    weights = (
        lines.select("user_id", "weight", F.inline(both))
        .where("name IS NOT NULL")
        .groupBy("user_id", "kind", "name")
        .agg(F.sum("weight").alias("weight"), F.sum("price_rank").alias("ranks"), F.count("price_rank").alias("ranked"))
    )
    by_user = weights.groupBy("user_id").agg(
        F.try_divide(F.sum("ranks").cast("double"), F.sum("ranked")).alias("price_level"),
        _shares("category").alias("categories"),
        _shares("brand").alias("brands"),
    )
    kinds = items.where(F.col("category") != UNKNOWN).agg(F.count_distinct("category").alias("kinds"))
    terms = F.transform("categories", lambda one: -one["share"] * F.ln(one["share"]))
    entropy = F.aggregate(terms, F.lit(0.0), lambda total, term: total + term)
    known = (F.col("kinds") > 1) & (F.size("categories") > 0)
    return by_user.crossJoin(F.broadcast(kinds)).select(
        "user_id",
        "price_level",
        _largest("categories").alias("categories"),
        _largest("brands").alias("brands"),
        F.when(known, F.least(entropy / F.ln("kinds"), F.lit(1.0))).alias("variety"),
    )


def _shares(kind: str) -> Column:
    """Of a user's rows: each name of ``kind`` with its share of the weight, largest first, ties by name."""
    mine = (F.col("kind") == kind) & (F.col("weight") > 0)
    total = F.sum(F.when(mine, F.col("weight"))).cast("double")
    ranked = F.sort_array(F.collect_list(F.when(mine, F.struct((-F.col("weight")).alias("minus"), "name"))))
    return F.transform(ranked, lambda one: F.struct(one["name"], (-one["minus"].cast("double") / total).alias("share")))


def _largest(shares: str) -> Column:
    return F.map_from_entries(F.slice(shares, 1, FAVOURITES))


def _money(name: str) -> Column:
    """As a decimal: those add up to the same in any order, doubles don't, and a rerun must give the same table."""
    return F.col(name).cast("decimal(18,4)")


def _empty_map(value: str) -> Column:
    return F.create_map().cast(f"map<string,{value}>")
