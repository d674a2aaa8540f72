"""What people did, as the source tells it."""

from datetime import date

from pyspark.sql import DataFrame

import schemas
from jobs.raw.landing import landed, with_id
from jobs.reads import source

READS = {"rows": source()}
TABLE = schemas.table("raw.events")


def events(rows: DataFrame, *, day: date) -> DataFrame:
    """One row an event. An event that came twice stays twice, under one id: behaviour.log keeps the first."""
    return with_id(landed(rows, TABLE, day), "event_id")
