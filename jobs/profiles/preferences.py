"""What shoppers asked of their own lists, under pseudonyms."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

import schemas
from jobs.behaviour.pseudonym import pseudonym_key, pseudonymised
from jobs.reads import on

READS = {"users": on("profiles.users"), "wishes": on("raw.preferences", optional=True)}
TABLE = schemas.table("profiles.preferences")


def preferences(users: DataFrame, wishes: DataFrame | None, *, day: date) -> DataFrame:
    """One row a wish, also of people who aren't in profiles.users yet.

    Args:
        users: profiles.users of the night.
        wishes: raw.preferences of the night; None where the shop has none.
        day: the night.
    """
    if wishes is None:
        return users.sparkSession.createDataFrame([], TABLE.ddl)
    told = pseudonymised(wishes.select("user_id", "preference", "value"), pseudonym_key())
    return told.withColumn("day", F.lit(day))
