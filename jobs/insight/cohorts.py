"""The cohorts of profiles.cohorts with how many people are in each: what may be shown outside."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.reads import on
from schemas.exports import COHORT

READS = {"members": on("profiles.cohorts")}


def cohorts(members: DataFrame, *, day: date) -> DataFrame:
    """One row a cohort.

    Args:
        members: profiles.cohorts of the night.
        day: the night.
    """
    counted = members.groupBy(*COHORT).agg(F.count(F.lit(1)).alias("people"))
    return counted.withColumn("day", F.lit(day))
