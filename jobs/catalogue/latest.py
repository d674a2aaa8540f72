"""Reviews that were delivered again, as edited ones are, count as they came last."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def latest(reviews: DataFrame, *columns: str) -> DataFrame:
    """One row a ``review_id``, of its last ``day``: these columns alone."""
    told = F.max_by(F.struct(*columns), "day").alias("_told")
    return reviews.groupBy("review_id").agg(told).select("_told.*")
