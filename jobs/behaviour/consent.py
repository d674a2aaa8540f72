"""Who agreed to be profiled: nothing is made of what the others did."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

NO_PROFILE = "no_profiling"


def unprofiled(wishes: DataFrame) -> DataFrame:
    """``user_id`` of those who want no profile, each once; the ids of ``wishes``: raw.preferences' or pseudonyms."""
    return F.broadcast(wishes.where(F.col("preference") == NO_PROFILE).select("user_id").distinct())
