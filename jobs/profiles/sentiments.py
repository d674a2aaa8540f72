"""Sentiments: what each user's reviews say of each category."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.behaviour.consent import unprofiled
from jobs.catalogue.latest import latest
from jobs.reads import on, upto

READS = {
    "reviews": upto("catalogue.reviews"),
    "items": on("catalogue.items"),
    "preferences": on("profiles.preferences"),
}
TOLD = ("user_id", "item_id", "sentiment", "written")


def sentiments(reviews: DataFrame, items: DataFrame, preferences: DataFrame, *, day: date) -> DataFrame:
    """One row a user and category of which they wrote; items that the shop no longer lists have no category.

    A review that was delivered again, as edited ones are, counts as it came last.

    Args:
        reviews: catalogue.reviews up to the night.
        items: catalogue.items of the night.
        preferences: profiles.preferences of the night.
        day: the night.
    """
    known = (
        latest(reviews, *TOLD)
        .where("sentiment IS NOT NULL")
        .join(unprofiled(preferences), on="user_id", how="left_anti")
    )
    placed = known.join(items.select("item_id", "category"), on="item_id", how="inner")
    # a sum of decimals is the same in any order
    return (
        placed.groupBy("user_id", "category")
        .agg(
            F.avg(F.col("sentiment").cast("decimal(9,4)")).cast("double").alias("sentiment"),
            F.count("*").alias("reviews"),
            F.max("written").alias("last_written"),
        )
        .select(F.lit(day).alias("day"), "user_id", "category", "sentiment", "reviews", "last_written")
    )
