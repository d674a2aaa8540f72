"""Histories: what each user bought, in order, as the model reads it."""

from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.behaviour.consent import willing_pseudonyms
from jobs.reads import on, upto

READS = {"log": upto("behaviour.log"), "wishes": on("raw.preferences", optional=True)}

# Far more than a model reads, for training also asks about earlier midnights: were the busiest households cut to their
# last 1,024 purchases, they would look new a few weeks ago, and what they buy every week like something new to them.
LONGEST = 16_384
INTEREST = "event_type IN ('view', 'add_to_cart', 'review') OR (event_type = 'impression' AND clicked)"


def histories(log: DataFrame, wishes: DataFrame | None, *, day: date) -> DataFrame:
    """Each user's last 16,384 purchases, oldest first; of a user who never bought, what they looked at.

    The choice is made per user, not per source: where few visitors buy, the others have a history too. Looking is a
    view, an item put into the cart, a review, or a clicked impression. Lines of one moment are in order of event_id.
    Who wants no profile has none, and so no part in training.

    Args:
        log: behaviour.log up to the night.
        wishes: raw.preferences of the night; None where the shop has none.
        day: the night.
    """
    log = willing_pseudonyms(log, wishes)
    bought = F.col("event_type") == "purchase"
    lines = log.where("item_id IS NOT NULL").where(bought | F.expr(INTEREST)).withColumn("_bought", bought)
    recent_first = Window.partitionBy("user_id").orderBy(F.desc("_bought"), F.desc("ts"), F.desc("event_id"))
    whole = recent_first.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    buyer = F.first("_bought").over(whole)
    ranked = (
        lines.withColumn("_buyer", buyer)
        .withColumn("_place", F.row_number().over(recent_first))
        .withColumn("length", F.sum(F.when(F.col("_bought") == buyer, 1)).over(whole))
        .where((F.col("_bought") == F.col("_buyer")) & (F.col("_place") <= LONGEST))
    )
    basket = F.coalesce("basket_id", "session_id").alias("basket")
    line = F.struct("ts", "event_id", "item_id", "amount", basket)
    users = ranked.groupBy("user_id").agg(
        F.sort_array(F.collect_list(line)).alias("_lines"), F.max("length").cast("int").alias("length")
    )
    return users.select(
        F.lit(day).alias("day"),
        "user_id",
        F.col("_lines.item_id").alias("item_ids"),
        F.col("_lines.ts").alias("times"),
        F.col("_lines.amount").alias("amounts"),
        F.col("_lines.basket").alias("baskets"),
        "length",
    )
