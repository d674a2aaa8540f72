"""Reviews with their text."""

from datetime import date

from pyspark.sql import DataFrame

import schemas
from jobs.raw.landing import first_of_each, landed, with_id
from jobs.reads import source

READS = {"rows": source()}
TABLE = schemas.table("raw.reviews")


def reviews(rows: DataFrame, *, day: date) -> DataFrame:
    """One row a review."""
    return first_of_each(with_id(landed(rows, TABLE, day), "review_id"), TABLE)
