"""Who agreed to be profiled: nothing is made of what the others did."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.behaviour.pseudonym import pseudonym_key, pseudonymised

NO_PROFILE = "no_profiling"


def unprofiled(wishes: DataFrame) -> DataFrame:
    """``user_id`` of those who want no profile, each once; the ids of ``wishes``: raw.preferences' or pseudonyms."""
    return F.broadcast(wishes.where(F.col("preference") == NO_PROFILE).select("user_id").distinct())


def agreed(rows: DataFrame, wishes: DataFrame | None) -> DataFrame:
    """The rows, by pseudonym, without those of who wants no profile by raw.preferences; all of them without wishes."""
    if wishes is None:
        return rows
    return rows.join(pseudonymised(unprofiled(wishes), pseudonym_key()), on="user_id", how="left_anti")
