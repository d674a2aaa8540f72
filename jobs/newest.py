"""Of several nights' rows the newest: a night that failed is looked past."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def newest(rows: DataFrame) -> DataFrame:
    """The rows of the latest ``day`` that there is."""
    return rows.join(F.broadcast(rows.agg(F.max("day").alias("day"))), on="day", how="left_semi")
