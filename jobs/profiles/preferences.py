"""What shoppers asked of their own lists, under pseudonyms."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

import schemas
from jobs.behaviour.pseudonym import pseudonym_key, pseudonymised
from jobs.reads import on

READS = {"log": on("behaviour.log"), "wishes": on("raw.preferences", optional=True)}
TABLE = schemas.table("profiles.preferences")


def preferences(log: DataFrame, wishes: DataFrame | None, *, day: date) -> DataFrame:
    """One row a wish, also of people who aren't in profiles.users yet.

    Args:
        log: behaviour.log of the night, of which nothing is read.
        wishes: raw.preferences of the night; None where the shop has none.
        day: the night.
    """
    if wishes is None:
        return log.sparkSession.createDataFrame([], TABLE.ddl)
    told = pseudonymised(wishes.select("user_id", "preference", "value"), pseudonym_key())
    return told.withColumn("day", F.lit(day))
