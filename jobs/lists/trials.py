"""What tonight's model would have offered a week ago, beside what people then took: what weights are judged on.

No model has learned from that week: training holds out the last seven days before its own night.
"""

from datetime import UTC, date, datetime, timedelta
from functools import reduce

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.catalogue.trends import trends
from jobs.lists.asking import agreed, asking
from jobs.lists.blocks import Block, spread
from jobs.lists.candidates import FOUND, HEADS, searcher
from jobs.lists.floor import Floor
from jobs.lists.named import ASKED
from jobs.lists.popularity import Popularity
from jobs.lists.scorer import manifest
from jobs.lists.spent import past as bought
from jobs.lists.vectors import ARRAYS, OF_USERS, VECTORS, recent, sold, user_encoder, with_last
from jobs.model import Model
from jobs.ranking.values import novelty
from jobs.reads import model as version
from jobs.reads import on
from schemas.lists import SURFACES

READS = {
    "vectors": on("lists.vectors"),
    "items": on("catalogue.items"),
    "histories": on("behaviour.histories"),
    "users": on("profiles.users"),
    "preferences": on("profiles.preferences"),
    "model": version(),
}

DAYS = 7
USERS = 2000  # of a night: what it costs doesn't grow with the shop
KEPT = (*ARRAYS, "amounts", "baskets")
MONEY = "decimal(18,4)"  # adds up to the same in any order


def trials(
    vectors: DataFrame,
    items: DataFrame,
    histories: DataFrame,
    users: DataFrame,
    preferences: DataFrame,
    model: Model,
    *,
    day: date,
) -> DataFrame:
    """The candidates of up to :data:`USERS` users as they were before the last :data:`DAYS` days, and what came true.

    Users are drawn anew every night from those who took something in these days, the same on every run. An item's
    trends and novelty, the popular items and the histories are those of then; prices and what is on sale are tonight's,
    but no item counts that was first seen since. Arrivals, business rules and users who want no personalisation take no
    part.

    Args:
        vectors: lists.vectors of the night.
        items, histories, users, preferences: of the night.
        model: the night's.
        day: the night.
    """
    then = day - timedelta(days=DAYS)
    cut = datetime.combine(then + timedelta(days=1), datetime.min.time(), UTC)
    who = asking(users, preferences)
    parted = agreed(histories, who).withColumn("_before", F.size(F.filter("times", lambda time: time < F.lit(cut))))
    past = parted.where("_before > 0").select("user_id", *(_part(name, after=False) for name in KEPT))
    taken = _taken(parted, day)
    of_items = _then(vectors, past, model, then)
    known = items.where("on_sale").where(F.col("first_seen").isNull() | (F.col("first_seen") <= F.lit(then)))
    block = Block.pull(of_items.join(known.select("item_id", *ASKED), "item_id", how="inner"))
    floor = Floor(block, Popularity.pull(past, who, block, then))
    # into every surface
    asked = _asking(taken, past, who, Block.pull(of_items), model, cut).localCheckpoint()
    found = []
    for surface in SURFACES:
        left_out = F.array().cast("array<string>") if surface.repeat else F.coalesce("past", F.array())
        search = searcher(floor.of([], surface, day), surface)
        lists = spread(asked.withColumn("bought", left_out), "user_id").mapInArrow(search, FOUND)
        found.append(_judged(lists, taken, past, surface.repeat).withColumn("surface", F.lit(surface.name)))
    rows = reduce(DataFrame.unionByName, found).join(F.broadcast(_novelty(floor, vectors)), on="item_id", how="left")
    return rows.withColumns({"day": F.lit(day), "model_version": F.lit(model.version)})


def _part(name: str, *, after: bool) -> Column:
    """The entries of an array before the cut, or those after it."""
    size = F.size(name)
    cut = F.slice(name, F.col("_before") + 1, size - F.col("_before")) if after else F.slice(name, 1, F.col("_before"))
    return cut.alias(name)


def _taken(parted: DataFrame, day: date) -> DataFrame:
    """The users of the trial, each with what they took after the cut: item to money paid."""
    later = parted.where(F.size("times") > F.col("_before"))
    drawn = later.orderBy(F.xxhash64("user_id", F.lit(day.isoformat())), "user_id").limit(USERS)
    both = F.explode(F.arrays_zip(_part("item_ids", after=True), _part("amounts", after=True))).alias("line")
    lines = drawn.select("user_id", both)
    paid = F.coalesce(F.sum(F.col("line.amounts").cast(MONEY)).cast("double"), F.lit(0.0))
    each = lines.groupBy("user_id", F.col("line.item_ids").alias("item_id")).agg(paid.alias("paid"))
    entries = F.map_from_entries(F.sort_array(F.collect_list(F.struct("item_id", "paid"))))
    return each.groupBy("user_id").agg(entries.alias("taken"))


def _then(vectors: DataFrame, past: DataFrame, model: Model, then: date) -> DataFrame:
    """The items' vectors with the trends of that day."""
    plain = vectors.where("kind = 'item'").withColumn("vector", with_last(F.col("bias"))).select("id", *VECTORS)
    moved = sold(plain, trends(past, day=then), manifest(model.path)["pull"]).localCheckpoint()  # for two blocks
    return moved.withColumnRenamed("id", "item_id")


def _novelty(floor: Floor, vectors: DataFrame) -> DataFrame:
    """item_id and novelty before the week: whose shoppers of the week count is novel to nobody who took it."""
    told = novelty(floor.popularity.shoppers[:, -1], floor.popularity.histories)
    return vectors.sparkSession.createDataFrame(pa.table({"item_id": floor.block.ids, "novelty": told}))


def _asking(taken: DataFrame, past: DataFrame, who: DataFrame, block: Block, model: Model, cut: datetime) -> DataFrame:
    """What the searcher reads of each user; users without a past have no vector."""
    length = manifest(model.path)["max_history"]
    mine = past.join(taken.select("user_id"), "user_id", how="left_semi")
    encoded = (
        spread(mine.select("user_id", *(recent(name, length) for name in ARRAYS)), "user_id")
        .sortWithinPartitions("user_id")
        .mapInArrow(user_encoder(model.path, block, cut), OF_USERS)
    )
    of_users = encoded.select(F.col("id").alias("user_id"), "vector", *HEADS, "repeats")
    return (
        who.join(taken.select("user_id"), "user_id", how="left_semi")
        .join(mine.select("user_id", *bought()), "user_id", how="left")
        .join(of_users, "user_id", how="left")
    )


def _judged(lists: DataFrame, taken: DataFrame, past: DataFrame, repeat: bool) -> DataFrame:
    """The candidates with what came true of them; users who took nothing that the surface may show are left out."""
    if not repeat:
        before = past.select("user_id", F.col("item_ids").alias("_seen"))
        new = F.map_filter("taken", lambda item, _: ~F.array_contains(F.coalesce("_seen", F.array()), item))
        taken = taken.join(before, "user_id", how="left").select("user_id", new.alias("taken"))
    asked = taken.where(F.size("taken") > 0)
    paid = F.try_element_at("taken", F.col("item_id"))
    return lists.join(asked, "user_id", how="inner").select(
        "user_id",
        "item_id",
        "rank",
        "relevance",
        "p_click",
        "p_purchase",
        "spend",
        "policy",
        paid.isNotNull().alias("taken"),
        F.coalesce(paid, F.lit(0.0)).alias("paid"),
        F.size("taken").alias("relevant"),
    )
