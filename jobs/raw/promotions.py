"""Which item was on display or in the mailer of which store."""

from datetime import date

from pyspark.sql import DataFrame

import schemas
from jobs.raw.landing import landed
from jobs.reads import source

READS = {"rows": source()}
TABLE = schemas.table("raw.promotions")


def promotions(rows: DataFrame, *, day: date) -> DataFrame:
    """One row an item, store, period and place."""
    return landed(rows, TABLE, day)
