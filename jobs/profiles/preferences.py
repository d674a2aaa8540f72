"""What shoppers asked of their own lists, under pseudonyms."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.behaviour.pseudonym import pseudonym_key, pseudonymised
from jobs.reads import on

READS = {"wishes": on("raw.preferences", optional=True)}


def preferences(wishes: DataFrame | None, *, day: date) -> DataFrame | None:
    """One row a wish, also of people who aren't in profiles.users yet; None where nobody can have one.

    Args:
        wishes: raw.preferences of the night; None where the shop has none.
        day: the night.
    """
    if wishes is None:
        return None
    told = pseudonymised(wishes.select("user_id", "preference", "value"), pseudonym_key())
    return told.withColumn("day", F.lit(day))
