"""The catalogue: each item as text, with its price, how it sells, and whether it is on sale."""

from datetime import date, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.behaviour.text import cleaned
from jobs.newest import newest
from jobs.reads import before, on, upto

READS = {
    "log": upto("behaviour.log"),
    "items": on("raw.items"),
    # tonight's are made after this table; those of some nights ago tell of the days to come too
    "forecasts": before("insight.forecasts", nights=7, optional=True),
}

UNKNOWN = "unknown"  # the category of an item that has none
NAMELESS = "Item"  # followed by its id, the title of an item that has nothing to be called by

TITLE_LENGTH = 500
TEXT_LENGTH = 600  # more than the language model reads of it
READ_LENGTH = 4000  # of what the shop wrote, before cleaning
NAME_LENGTH = 80  # of a description that stands in for the title

HALF_LIFE = 14  # days, of popularity
RECENT = 28  # days, of prices and purchases
WEEKS = 26  # of price history
STILL_SOLD = 56  # days without a sale after which an item counts as gone, where the shop doesn't say


def items(log: DataFrame, items: DataFrame, forecasts: DataFrame | None, *, day: date) -> DataFrame:
    """One row an item of the shop's catalogue.

    ``price`` is the median price of a unit over the last 28 days, else that of the last line sold, else the list price.
    What was given away (price 0) says nothing about the price. Weeks of ``price_history`` begin on Monday.
    ``days_of_supply`` goes by the mean of what is foretold: the upper ends of single days don't add up to that of all.

    Args:
        log: behaviour.log up to the night.
        items: raw.items of the night.
        forecasts: insight.forecasts of the week before the night, of which the newest count; None without any.
        day: the night.
    """
    known = (
        _described(items)
        .join(_figures(log, day), on="item_id", how="left")
        .join(_recent_price(log, day), on="item_id", how="left")
        .join(_price_history(log, day), on="item_id", how="left")
    )
    supply = F.lit(None).cast("int")
    if forecasts is not None:
        known, supply = known.join(_supply(items, forecasts, day), on="item_id", how="left"), F.col("days_of_supply")
    available = F.coalesce("available", F.col("stock") > 0)
    still_sold = F.col("last_sold") > F.lit(day - timedelta(days=STILL_SOLD))
    return known.select(
        F.lit(day).alias("day"),
        "item_id",
        "title",
        "text",
        "brand",
        "category_path",
        F.coalesce(F.get("category_path", F.lit(1)), F.get("category_path", F.lit(0)), F.lit(UNKNOWN)).alias(
            "category"
        ),
        F.coalesce("recent_price", "last_price", "list_price").alias("price"),
        "cost",
        "price_history",
        F.coalesce("purchases", F.lit(0)).alias("purchases"),
        F.coalesce("purchases_28d", F.lit(0)).alias("purchases_28d"),
        F.coalesce("popularity", F.lit(0.0)).alias("popularity"),
        "first_seen",
        "last_sold",
        available.alias("available"),
        "stock",
        supply.alias("days_of_supply"),
        F.coalesce(available, still_sold, F.lit(False)).alias("on_sale"),
    )


def _described(items: DataFrame) -> DataFrame:
    """Texts fit to read: of items without a title the description, the category or the id stands in."""
    path = F.filter(F.transform("category_path", lambda name: _readable(cleaned(name))), lambda name: name.isNotNull())
    shop = items.select(
        "item_id",
        _readable(cleaned(F.left("title", F.lit(READ_LENGTH)))).alias("shop_title"),
        cleaned(F.left("description", F.lit(READ_LENGTH))).alias("description"),
        cleaned("brand").alias("brand"),
        F.coalesce(path, F.array().cast("array<string>")).alias("category_path"),
        F.col("price").alias("list_price"),
        "cost",
        "available",
        "stock",
    )
    title = F.coalesce(
        "shop_title",
        F.left("description", F.lit(NAME_LENGTH)),
        F.try_element_at("category_path", F.lit(-1)),
        F.concat_ws(" ", F.lit(NAMELESS), "item_id"),
    )
    path_text = F.when(F.size("category_path") > 0, F.concat_ws(" > ", "category_path"))
    text = F.concat_ws(". ", "title", "brand", path_text, "description")
    return shop.withColumn("title", F.left(title, F.lit(TITLE_LENGTH))).withColumn(
        "text", F.left(text, F.lit(TEXT_LENGTH))
    )


def _readable(text: Column) -> Column:
    """SHOUTED text as a sentence; text in mixed case, and scripts without case, as they are."""
    sentence = F.concat(F.upper(F.left(text, F.lit(1))), F.lower(F.substr(text, F.lit(2))))
    return F.when(text == F.upper(text), sentence).otherwise(text)


def _figures(log: DataFrame, day: date) -> DataFrame:
    """Per item of the log: purchases, popularity, first and last day, and what a unit cost."""
    bought = F.col("event_type") == "purchase"
    recent = bought & (F.col("day") > F.lit(day - timedelta(days=RECENT)))
    priced = bought & (F.col("unit_price") > 0)
    decay = F.pow(F.lit(2.0), -F.datediff(F.lit(day), "day") / HALF_LIFE)
    return (
        log.where("item_id IS NOT NULL")
        .groupBy("item_id")
        .agg(
            F.count_if(bought).alias("purchases"),
            F.count_if(recent).alias("purchases_28d"),
            # decimals add up to the same in any order, doubles don't, and a rerun must give the same table
            F.sum(F.when(bought, decay.cast("decimal(18,12)"))).cast("double").alias("popularity"),
            F.min("day").alias("first_seen"),
            F.max(F.when(bought, F.col("day"))).alias("last_sold"),
            F.max(F.when(priced, F.struct("ts", "event_id", "unit_price")))["unit_price"].alias("last_price"),
        )
    )


def _recent_price(log: DataFrame, day: date) -> DataFrame:
    """Per item, the median price of a unit over the last 28 days. Apart, for a median of every line costs a sort."""
    sold = _priced(log).where(F.col("day") > F.lit(day - timedelta(days=RECENT)))
    return sold.groupBy("item_id").agg(F.median("unit_price").alias("recent_price"))


def _price_history(log: DataFrame, day: date) -> DataFrame:
    """Per item, the median price of a unit in each of the last 26 weeks that sold any, oldest first."""
    week = F.to_date(F.date_trunc("week", "day"))
    first = day - timedelta(days=day.weekday(), weeks=WEEKS - 1)
    return (
        _priced(log)
        .where(F.col("day") >= F.lit(first))
        .groupBy("item_id", week.alias("week"))
        .agg(F.median("unit_price").alias("price"))
        .groupBy("item_id")
        .agg(F.sort_array(F.collect_list(F.struct(F.col("week").alias("day"), "price"))).alias("price_history"))
    )


def _supply(items: DataFrame, forecasts: DataFrame, day: date) -> DataFrame:
    """Per item whose stock is expected to run out: the days before the first on which it does."""
    ahead = newest(forecasts).where(F.col("for_day") > F.lit(day))
    so_far = Window.partitionBy("name").orderBy("for_day").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    # decimals add up to the same in any order
    needed = ahead.where("level = 'item'").select(
        F.col("name").alias("item_id"),
        "for_day",
        F.sum(F.col("units").cast("decimal(18,6)")).over(so_far).alias("needed"),
    )
    short = items.select("item_id", "stock").join(needed, on="item_id", how="inner").where("needed > stock")
    first = F.datediff(F.min("for_day"), F.lit(day)) - 1
    return short.groupBy("item_id").agg(first.alias("days_of_supply"))


def _priced(log: DataFrame) -> DataFrame:
    return log.where("event_type = 'purchase' AND item_id IS NOT NULL AND unit_price > 0")
