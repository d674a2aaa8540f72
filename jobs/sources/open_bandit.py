"""The Open Bandit data: impressions of a fashion shop under two policies that ran side by side, with propensities.

``data`` is the folder with ``<policy>/<campaign>/<campaign>.csv`` (policies ``random`` and ``bts``, campaigns ``all``,
``men``, ``women``). Every row is an impression; a click is its column ``clicked``.

- The campaigns number their items from 0 each: an item is called ``<campaign>-<number>``.
- There are no ids of users. What is known of one are four hashed features; all who share the four are one user here.
- Items have hashed features only: they come without title, brand, category or price.
"""

from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

import schemas
from jobs.sources import files, times
from jobs.sources.typed import quoted, typed, union

USER = tuple(f"user_feature_{number}" for number in range(4))
PLACE = r"/([^/]+)/([^/]+)/[^/]+$"  # policy and campaign in a file's path


def events(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """Impressions.

    Raises:
        ValueError: if ``day`` is outside the data, or a file or column is missing.
    """
    told = ("_c0", "timestamp", "item_id", "position", "click", "propensity_score", *USER)
    contract = schemas.table("raw.events")
    made = union([typed(_impressions(frame), contract) for frame in _frames(spark, data, told, context=False)])
    times.check_inside(made, day, data)
    return times.arrived(made, after, day)


def items(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """The ids of the items in ``item_context.csv``, once for both policies."""
    contract = schemas.table("raw.items")
    rows = union([typed(_items(frame), contract) for frame in _frames(spark, data, ("item_id",), context=True)])
    rejected = F.col("_rule").isNotNull()
    return union([rows.where(~rejected).dropDuplicates(["item_id"]), rows.where(rejected)]).drop("day")


def _impressions(frame: DataFrame) -> DataFrame:
    ts = F.col("ts")
    unreadable = F.when(ts.isNull(), F.concat(F.lit("timestamp "), quoted(F.col("timestamp")), F.lit(" is no time")))
    return frame.withColumn("ts", times.instant(F.col("timestamp"), "string")).select(
        F.to_date(ts).alias("day"),
        _joined("policy", "campaign", "_c0").alias("event_id"),
        F.lit("impression").alias("event_type"),
        "ts",
        F.md5(_joined(*USER)).alias("user_id"),
        _joined("campaign", "item_id").alias("item_id"),
        F.col("campaign").alias("campaign_id"),
        F.col("position").alias("rank"),
        F.col("click").alias("clicked"),
        F.col("propensity_score").alias("propensity"),
        "policy",
        "_row",
        F.coalesce("_rule", F.when(unreadable.isNotNull(), "readable_ts")).alias("_rule"),
        F.coalesce("_reason", unreadable).alias("_reason"),
    )


def _items(frame: DataFrame) -> DataFrame:
    return frame.select(_joined("campaign", "item_id").alias("item_id"), "_row", "_rule", "_reason")


def _joined(*names: str) -> Column:
    """The values with dashes between them; null if one is null."""
    first, *others = names
    return F.concat(first, *(part for name in others for part in (F.lit("-"), F.col(name))))


def _frames(spark: SparkSession, data: str, columns: tuple[str, ...], context: bool) -> list[DataFrame]:
    """The rows of all item or all impression files, with ``policy`` and ``campaign`` from their paths."""
    paths = files.found(spark, data, "*/*/*.csv", "Open Bandit")
    chosen = [path for path in paths if path.endswith("/item_context.csv") == context]
    if not chosen:
        raise ValueError(f"{data} has no {'item_context.csv' if context else 'impressions'} in <policy>/<campaign>/")
    place = {name: F.regexp_extract("_file", PLACE, group) for group, name in ((1, "policy"), (2, "campaign"))}
    return [frame.withColumns(place) for frame in files.frames(spark, chosen, columns, "Open Bandit")]
