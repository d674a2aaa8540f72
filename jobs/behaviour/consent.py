"""Who agreed to be profiled: nothing is made of what the others did."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.behaviour.pseudonym import pseudonym_key, pseudonymised

NO_PROFILE = "no_profiling"


def unprofiled(wishes: DataFrame) -> DataFrame:
    """``user_id`` of those who want no profile, each once; the ids of ``wishes``: raw.preferences' or pseudonyms."""
    return F.broadcast(wishes.where(F.col("preference") == NO_PROFILE).select("user_id").distinct())


def willing(rows: DataFrame, wishes: DataFrame | None) -> DataFrame:
    """The rows, by the shop's own ids, without those of who wants no profile by raw.preferences; all without wishes."""
    return rows if wishes is None else rows.join(unprofiled(wishes), on="user_id", how="left_anti")


def willing_pseudonyms(rows: DataFrame, wishes: DataFrame | None) -> DataFrame:
    """The same of rows by pseudonym."""
    return willing(rows, None if wishes is None else pseudonymised(wishes, pseudonym_key()))
