"""What the shop knows of a person beside events."""

from datetime import date

from pyspark.sql import DataFrame

import schemas
from jobs.raw.landing import first_of_each, landed
from jobs.reads import source

READS = {"rows": source()}
TABLE = schemas.table("raw.users")


def users(rows: DataFrame, *, day: date) -> DataFrame:
    """One row a user."""
    return first_of_each(landed(rows, TABLE, day), TABLE)
