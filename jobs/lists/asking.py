"""Whom lists are made for: what rules and preferences ask of a shopper, and nothing else for those who refuse."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.lists.popularity import group

REFUSING = ("no_personalisation", "no_profiling")
AGE = r"^\s*(\d{1,3})(?!\d)"  # "35-44", "65+" and "40" begin with the least age; "under 18" doesn't say one
WISHES = "array<struct<preference:string,value:string>>"


def asking(users: DataFrame, preferences: DataFrame) -> DataFrame:
    """One row a user: user_id, personal, segment, group, age, buys, wishes.

    ``personal`` is false for who wants no personalisation or no profile: ``segment`` and ``group`` are null then, as
    one is made of the history and the other of attributes. ``age`` is the least age in years that the attribute ``age``
    allows, null where it doesn't begin with a number; ``buys`` whether the history holds purchases.
    """
    told = preferences.groupBy("user_id").agg(
        F.sort_array(F.collect_set(F.struct("preference", "value"))).alias("wishes")
    )
    wishes = F.coalesce("wishes", F.array().cast(WISHES))
    known = users.join(told, "user_id", how="left").withColumn("wishes", wishes)
    personal = ~F.exists("wishes", lambda wish: wish["preference"].isin(*REFUSING))
    return known.withColumn("personal", personal).select(
        "user_id",
        "personal",
        F.when(F.col("personal"), F.col("segment")).alias("segment"),
        F.when(F.col("personal"), group("attributes")).alias("group"),
        least_age("attributes").alias("age"),
        (F.col("purchases") > 0).alias("buys"),
        "wishes",
    )


def least_age(attributes: str) -> Column:
    """int: the least age that a user's attributes allow; null where they don't tell."""
    return F.regexp_extract(F.col(attributes)["age"], AGE, 1).try_cast("int")


def agreed(histories: DataFrame, who: DataFrame) -> DataFrame:
    """The histories without those of people who want no personalisation: not even what is popular is counted by them.

    ``who`` is of :func:`asking`.
    """
    return histories.join(who.where(~F.col("personal")).select("user_id"), "user_id", how="left_anti")
