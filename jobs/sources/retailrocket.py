"""RetailRocket's public data: four and a half months of visitors of one shop, in 2015.

``data`` is the folder with ``events.csv``, ``item_properties_part*.csv`` and ``category_tree.csv``. A transaction is a
purchase without a quantity or an amount, for the files have no prices that are called so. Texts are hashed: an item has
a category path of numbers and whether it is on sale, but no title, brand or description.
"""

from datetime import date, timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import schemas
from jobs.sources import files, times
from jobs.sources.typed import quoted, typed, union

EVENT_TYPES = {"view": "view", "addtocart": "add_to_cart", "transaction": "purchase"}


def events(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """Views, items put into the cart, and purchases.

    Raises:
        ValueError: if ``day`` is outside the data, or a file or column is missing.
    """
    told = ("timestamp", "visitorid", "event", "itemid", "transactionid")
    rows = union(files.frames(spark, files.found(spark, data, "events.csv*", "RetailRocket"), told, "RetailRocket"))
    rows = rows.withColumn("ts", times.instant(F.col("timestamp"), "string"))
    ts = F.col("ts")
    kind = F.try_element_at(F.create_map(*(F.lit(text) for pair in EVENT_TYPES.items() for text in pair)), "event")
    bad_kind = F.when(kind.isNull(), F.concat(F.lit("event "), quoted(F.col("event")), F.lit(" is none of the three")))
    bad_time = F.when(ts.isNull(), F.concat(F.lit("timestamp "), quoted(F.col("timestamp")), F.lit(" is no time")))
    named = rows.select(
        F.to_date(ts).alias("day"),
        kind.alias("event_type"),
        "ts",
        F.col("visitorid").alias("user_id"),
        F.col("itemid").alias("item_id"),
        F.col("transactionid").alias("basket_id"),
        "_row",
        F.coalesce(
            "_rule", F.when(bad_time.isNotNull(), "readable_ts"), F.when(bad_kind.isNotNull(), "known_event_type")
        ).alias("_rule"),
        F.coalesce("_reason", bad_time, bad_kind).alias("_reason"),
    )
    made = typed(named, schemas.table("raw.events"))
    times.check_inside(made, day, data)
    return times.arrived(made, after, day)


def items(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """Each item's category path and availability as last told by the end of ``day``."""
    told = ("timestamp", "itemid", "property", "value")
    paths = files.found(spark, data, "item_properties*.csv*", "RetailRocket")
    rows = union(files.frames(spark, paths, told, "RetailRocket"))
    ts = times.instant(F.col("timestamp"), "string")
    known = ts.isNull() | (ts < F.lit(day + timedelta(days=1)).cast("timestamp"))
    bad = F.col("_rule").isNotNull() | ts.isNull() | F.col("itemid").isNull()
    latest = rows.where(known & ~bad).groupBy(F.col("itemid").alias("item_id"))
    snapshot = latest.agg(*(_last(name, ts).alias(name) for name in ("categoryid", "available")))
    rejected = rows.where(bad).select(
        "_row",
        F.lit("readable_row").alias("_rule"),
        F.coalesce("_reason", F.lit("no readable timestamp or itemid")).alias("_reason"),
    )
    named = snapshot.join(_category_paths(spark, data), on="categoryid", how="left").drop("categoryid")
    return typed(named.unionByName(rejected, allowMissingColumns=True), schemas.table("raw.items"))


def _last(name: str, ts):
    """The last value of a property; of two at one moment, the larger."""
    return F.max(F.when(F.col("property") == name, F.struct(ts.alias("ts"), "value"))).getField("value")


def _category_paths(spark: SparkSession, data: str) -> DataFrame:
    """``categoryid``, ``category_path``: from the root down to the category. The tree has some 1,700 branches."""
    path = files.found(spark, data, "category_tree.csv*", "RetailRocket")
    rows = union(files.frames(spark, path, ("categoryid", "parentid"), "RetailRocket")).collect()
    parents = {row["categoryid"]: row["parentid"] for row in rows}
    lines = [(category, _line(category, parents)) for category in sorted(parents)]
    return spark.createDataFrame(lines, "categoryid string, category_path array<string>")


def _line(category: str, parents: dict[str, str | None]) -> list[str]:
    line = [category]
    while (parent := parents.get(line[0])) is not None:
        if parent in line:
            raise ValueError(f"category_tree.csv: category {category} is its own ancestor: correct its parentid")
        line.insert(0, parent)
    return line
