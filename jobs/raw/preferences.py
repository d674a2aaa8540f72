"""What people asked of their own lists."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

import schemas
from jobs.raw.landing import first_of_each, landed
from jobs.reads import source

READS = {"rows": source()}
TABLE = schemas.table("raw.preferences")


def preferences(rows: DataFrame, *, day: date) -> DataFrame:
    """One row a wish, whose name counts however it is capitalised: a refusal must not be lost by that."""
    plain = rows.withColumn("preference", F.lower(F.regexp_replace("preference", r"^\s+|\s+$", "")))
    return first_of_each(landed(plain, TABLE, day), TABLE)
