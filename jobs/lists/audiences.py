"""Whose lists are weighed alike: users of like loyalty, taste for bargains and taste for variety."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

EVERYBODY = "everybody"
# by a column of profiles.users: what those above the median of all users are called, and the others
TASTES = {"discount_share": ("bargains", "full prices"), "variety": ("varied", "steady")}


def audiences(users: DataFrame) -> DataFrame:
    """user_id and audience, such as "loyal, bargains, varied"; what isn't known of a user has no word in it.

    Args:
        users: profiles.users of the night.
    """
    medians = users.agg(*(F.median(name).alias(f"_{name}") for name in TASTES))
    words = [_word(name, above, below) for name, (above, below) in TASTES.items()]
    return users.crossJoin(F.broadcast(medians)).select(
        "user_id", F.concat_ws(", ", "segment", *words).alias("audience")
    )


def _word(name: str, above: str, below: str) -> Column:
    return F.when(F.col(name) > F.col(f"_{name}"), above).when(F.col(name).isNotNull(), below)
