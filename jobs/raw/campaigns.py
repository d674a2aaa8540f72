"""Campaigns, and whom they were sent to."""

from datetime import date

from pyspark.sql import DataFrame

import schemas
from jobs.raw.landing import first_of_each, landed
from jobs.reads import source

READS = {"rows": source()}
TABLE = schemas.table("raw.campaigns")


def campaigns(rows: DataFrame, *, day: date) -> DataFrame:
    """One row a campaign and user."""
    return first_of_each(landed(rows, TABLE, day), TABLE)
