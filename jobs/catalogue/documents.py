"""What each user said: the categories they bought and the words of their reviews, as documents of terms."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.behaviour.pseudonym import pseudonym_key, pseudonymised
from jobs.catalogue.latest import latest
from jobs.catalogue.terms import language, terms, words


def documents(histories: DataFrame, items: DataFrame, reviews: DataFrame | None) -> DataFrame:
    """``user_id``, ``term`` and ``times``: how often, dampened: 1 for once, 2 for twice, 7 for a hundred times.

    Undampened, what everybody buys every week would be all that there is. Only who has a history is in it, and so
    nobody who wants no profile.

    Args:
        histories: behaviour.histories of the night.
        items: catalogue.items of the night.
        reviews: raw.reviews up to the night; None where the shop has none.
    """
    bought = histories.select("user_id", F.explode("item_ids").alias("item_id"))
    # counted before they are joined: a user buys the same items again and again
    lines = bought.groupBy("user_id", "item_id").count()
    said = lines.join(items.select("item_id", F.lower("category").alias("term")), on="item_id", how="inner").select(
        "user_id", "term", "count"
    )
    if reviews is not None:
        text = F.concat_ws(" ", "title", "text").alias("text")
        written = pseudonymised(reviews.select("day", "review_id", "user_id", text), pseudonym_key())
        theirs = written.join(histories.select("user_id"), on="user_id", how="left_semi")
        told = latest(theirs, "user_id", "text").withColumn("_words", words(F.col("text")))
        spoken = terms(F.col("_words"), language(F.col("text"), F.col("_words")))
        said = said.unionByName(
            told.select("user_id", F.explode(spoken).alias("term"), F.lit(1).cast("bigint").alias("count"))
        )
    times = F.ceil(F.log2(F.sum("count") + 1)).cast("int").alias("times")
    return said.where("term != ''").groupBy("user_id", "term").agg(times)
