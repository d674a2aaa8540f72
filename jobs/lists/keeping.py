"""Whether finished lists keep the rules: said again in Spark's expressions, apart from the code that made the lists."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.ranking.rules import CAPS, REFUSING

TOLD = ("rule_id", "action", "surface", "item_id", "brand", "category", "segment", "value", "low", "high")
ASKED = ("item_id", "brand", "category", "category_path", "price", "available", "days_of_supply")


def refused(lists: DataFrame, who: DataFrame, items: DataFrame, active: DataFrame) -> DataFrame:
    """Rows of the lists that a rule keeps from the user: rule (its action), surface, user_id, value.

    Args:
        lists: lists.staged.
        who: of :func:`jobs.lists.asking.asking`.
        items: catalogue.items.
        active: the active rows of lists.rules.
    """
    rows = _described(lists, who, items)
    found = rows.join(F.broadcast(_rules(active, REFUSING)), on=_applies() & _refuses(), how="inner")
    return found.select(
        F.col("r_action").alias("rule"),
        "surface",
        "user_id",
        F.concat_ws(" by rule ", "item_id", "r_rule_id").alias("value"),
    )


def over_caps(lists: DataFrame, who: DataFrame, items: DataFrame, active: DataFrame) -> DataFrame:
    """Lists with more items of a group than a cap allows, beside the pinned ones; arguments as of :func:`refused`."""
    pins = active.where("action = 'pin'").agg(F.collect_set("rule_id").alias("pins"))
    rows = _described(lists, who, items).crossJoin(F.broadcast(pins)).where(~F.arrays_overlap("rules", "pins"))
    by_category = F.when(F.array_contains("category_path", F.col("category")), F.col("category"))
    own = F.when(F.col("r_action") == "cap_brand", F.col("brand")).otherwise(by_category)
    group = F.coalesce("r_brand", "r_category", own).alias("group")
    found = rows.join(F.broadcast(_rules(active, CAPS)), on=_applies(), how="inner")
    counted = (
        found.select("surface", "user_id", "r_action", "r_rule_id", "r_value", group)
        .where("group IS NOT NULL")
        .groupBy("surface", "user_id", "r_action", "r_rule_id", "r_value", "group")
        .agg(F.count("*").alias("rows"))
        .where("rows > r_value")
    )
    value = F.concat("rows", F.lit(" of "), "group", F.lit(" by rule "), "r_rule_id")
    return counted.select(F.col("r_action").alias("rule"), "surface", "user_id", value.alias("value"))


def servable(absent: DataFrame, items: DataFrame, active: DataFrame) -> DataFrame:
    """Of users with surface, segment and age those for whom the rules leave an item that is on sale."""
    kinds = absent.select("surface", "segment", "age").distinct()
    shown = kinds.crossJoin(items.where("on_sale").select(*ASKED)).join(
        F.broadcast(_rules(active, REFUSING)), on=_applies() & _refuses(), how="left_anti"
    )
    left = shown.select("surface", F.col("segment").alias("s"), F.col("age").alias("a")).distinct()
    same = F.col("segment").eqNullSafe(F.col("s")) & F.col("age").eqNullSafe(F.col("a"))
    return absent.alias("absent").join(
        left.withColumnRenamed("surface", "on"), on=(F.col("surface") == F.col("on")) & same, how="left_semi"
    )


def _described(lists: DataFrame, who: DataFrame, items: DataFrame) -> DataFrame:
    asked = who.select("user_id", "segment", "age")
    return (
        lists.select("surface", "user_id", "item_id", "rules")
        .join(items.select(*ASKED), on="item_id", how="inner")
        .join(asked, on="user_id", how="inner")
    )


def _rules(active: DataFrame, actions: tuple[str, ...]) -> DataFrame:
    chosen = active.where(F.col("action").isin(*actions))
    return chosen.select(*(F.col(name).alias(f"r_{name}") for name in TOLD))


def _applies() -> Column:
    """Whether a rule holds for the row's surface and user, and names its item."""
    same = [
        F.col(f"r_{name}").isNull() | F.coalesce(F.col(f"r_{name}") == F.col(name), F.lit(False))
        for name in ("surface", "segment", "item_id", "brand")
    ]
    inside = F.coalesce(F.array_contains("category_path", F.col("r_category")), F.lit(False))
    return same[0] & same[1] & same[2] & same[3] & (F.col("r_category").isNull() | inside)


def _refuses() -> Column:
    """Whether a rule that applies keeps the item from the user."""
    low, high = F.coalesce("r_low", F.lit(0.0)), F.coalesce("r_high", F.lit(float("inf")))
    return (
        F.when(F.col("r_action") == "exclude", F.lit(True))
        .when(F.col("r_action") == "age_restricted", ~F.coalesce(F.col("age") >= F.col("r_value"), F.lit(False)))
        .when(F.col("r_action") == "price_band", ~F.coalesce(F.col("price").between(low, high), F.lit(False)))
        .when(F.col("r_action") == "in_stock", ~F.coalesce("available", F.lit(False)))
        .otherwise(F.coalesce(F.col("days_of_supply") < F.col("r_value"), F.lit(False)))
    )
