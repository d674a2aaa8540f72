"""The shop's catalogue as it stood that night."""

from datetime import date

from pyspark.sql import DataFrame

import schemas
from jobs.raw.landing import first_of_each, landed
from jobs.reads import source

READS = {"rows": source()}
TABLE = schemas.table("raw.items")


def items(rows: DataFrame, *, day: date) -> DataFrame:
    """One row an item."""
    return first_of_each(landed(rows, TABLE, day), TABLE)
