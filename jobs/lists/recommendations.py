"""The public table: tonight's staged lists, published as they are once they pass the audit."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.lists.asking import asking
from jobs.lists.keeping import over_caps, refused, servable
from jobs.reads import on
from schemas.lists import SURFACES

READS = {
    "staged": on("lists.staged"),
    "users": on("profiles.users"),
    "items": on("catalogue.items"),
    "rules": on("lists.rules"),
    "preferences": on("profiles.preferences"),
}

RULES = {
    "ranks": "rank doesn't run 1, 2, 3 without gaps in the list",
    "item_once": "item_id stands more than once in the list",
    "on_sale": "item_id is not on sale in catalogue.items",
    "everybody": "user_id of profiles.users has no list on the surface",
    "exclude": "item_id is excluded by a rule of lists.rules",
    "age_restricted": "item_id has a least age that the user is not known to have reached",
    "price_band": "price of item_id is not known to lie in a rule's band",
    "in_stock": "item_id is not known to be in stock, which a rule asks for",
    "expected_in_stock": "stock of item_id is not expected to last the days that a rule asks for",
    "cap_brand": "more items of a brand stand in the list than a rule allows beside pinned ones",
    "cap_category": "more items of a category stand in the list than a rule allows beside pinned ones",
}


def recommendations(
    staged: DataFrame, users: DataFrame, items: DataFrame, rules: DataFrame, preferences: DataFrame, *, day: date
) -> DataFrame:
    """The staged lists, unchanged. :func:`audit` decides whether they are published."""
    return staged


def audit(lists: DataFrame, users: DataFrame, items: DataFrame, rules: DataFrame, preferences: DataFrame) -> list[str]:
    """What is wrong with the lists beyond their contract, one sentence a broken rule; empty if nothing is.

    One Spark action. Each sentence names the first surface, user and value that broke the rule, and how many did. A
    user for whom the rules leave no item needs no list.
    """
    who, active = asking(users, preferences), rules.where("state = 'active'")
    absent = servable(_without(lists, who), items, active)
    due = absent.select(F.lit("everybody").alias("rule"), "surface", "user_id", F.lit("no list").alias("value"))
    held = refused(lists, who, items, active).unionByName(over_caps(lists, who, items, active))
    broken = _within(lists).unionByName(_off_sale(lists, items)).unionByName(due).unionByName(held)
    example = F.min(F.struct("surface", "user_id", "value")).alias("example")
    rows = broken.groupBy("rule").agg(F.count("*").alias("rows"), example).orderBy("rule").collect()
    return [
        f"lists.recommendations, rule {row['rule']}: {RULES[row['rule']]}; {row['rows']} such, first surface "
        f"{row['example']['surface']!r}, user_id {row['example']['user_id']!r}, value {row['example']['value']}"
        for row in rows
    ]


def _within(lists: DataFrame) -> DataFrame:
    """Lists whose ranks have gaps, and lists that name an item twice."""
    each = lists.groupBy("surface", "user_id").agg(
        F.sort_array(F.collect_list("rank")).alias("ranks"),
        F.sort_array(F.collect_list("item_id")).alias("items"),
    )
    gaps = F.col("ranks") != F.sequence(F.lit(1), F.size("ranks"))
    twice = F.size("items") != F.size(F.array_distinct("items"))
    ranks = F.when(gaps, F.struct(F.lit("ranks").alias("rule"), F.col("ranks").cast("string").alias("value")))
    items = F.when(twice, F.struct(F.lit("item_once").alias("rule"), F.col("items").cast("string").alias("value")))
    broken = each.select("surface", "user_id", F.explode(F.array_compact(F.array(ranks, items))).alias("broken"))
    return broken.select("broken.rule", "surface", "user_id", "broken.value")


def _off_sale(lists: DataFrame, items: DataFrame) -> DataFrame:
    off = lists.join(items.where("on_sale").select("item_id"), "item_id", how="left_anti")
    return off.select(F.lit("on_sale").alias("rule"), "surface", "user_id", F.col("item_id").alias("value"))


def _without(lists: DataFrame, who: DataFrame) -> DataFrame:
    """Users without a list: surface, user_id, segment, age."""
    surfaces = F.explode(F.array(*(F.lit(surface.name) for surface in SURFACES))).alias("surface")
    due = who.select("user_id", "segment", "age", surfaces)
    return due.join(lists.select("surface", "user_id"), ["surface", "user_id"], how="left_anti")
