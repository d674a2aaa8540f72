"""User and item vectors of the night, under the night's model version."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from operator import add, and_

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.lists.blocks import Block, lists, parts, spread
from jobs.lists.scorer import PAIRED, manifest, scorer
from jobs.model import Model
from jobs.ranking.topk import require_finite
from jobs.reads import before, on
from jobs.reads import model as version
from schemas.catalogue import SURELY_AGAIN, TREND_HALF_LIVES, TREND_PRIOR, USUALLY_AGAIN, tag_names

READS = {
    "items": on("catalogue.items"),
    "histories": on("behaviour.histories"),
    "trends": on("catalogue.trends"),
    "model": version(),
    "last_vectors": before("lists.vectors", nights=1, optional=True),
    "last_items": before("catalogue.items", nights=1, optional=True),
}

DESCRIBED = ("text", "brand", "category_path")  # what the model reads of an item
VECTORS = ("vector", *(f"{name}_vector" for name in PAIRED))
SCHEMA = ", ".join(["id string", *(f"{name} array<float>" for name in VECTORS)])
OF_USERS = f"{SCHEMA}, variety double, repeats map<string,float>"
ARRAYS = ("item_ids", "times")
ITEMS_AT_ONCE = 256
USERS_AT_ONCE = 32


def vectors(
    items: DataFrame,
    histories: DataFrame,
    trends: DataFrame,
    model: Model,
    last_vectors: DataFrame | None,
    last_items: DataFrame | None,
    *,
    day: date,
) -> DataFrame:
    """One row an item that is on sale or in somebody's recent history, and one a user with a history of known items.

    The language model reads a text once: an item described as last night keeps last night's vector, if that is the same
    model version's. How items sell is tonight's, whenever the model was trained.
    """
    about = manifest(model.path)
    histories = histories.select("user_id", *(recent(name, about["max_history"]) for name in ARRAYS))
    named = histories.select(F.explode("item_ids").alias("item_id")).distinct().withColumn("named", F.lit(True))
    wanted = items.join(named, on="item_id", how="left").where("on_sale OR named").select("item_id", *DESCRIBED)
    if last_vectors is None or last_items is None:
        of_items = item_vectors(wanted, model.path)
    else:
        kept = _kept(wanted, last_vectors.where(F.col("model_version") == model.version), last_items)
        others = wanted.join(kept, on=F.col("item_id") == F.col("id"), how="left_anti")
        of_items = kept.unionByName(item_vectors(others, model.path))
    of_items = sold(of_items, trends, about["pull"])
    of_items = of_items.localCheckpoint()  # into the table and into the users' encoder
    block = Block.pull(of_items.withColumnRenamed("id", "item_id"))
    night_end = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
    of_users = (
        spread(histories, "user_id")
        .sortWithinPartitions("user_id")
        .mapInArrow(user_encoder(model.path, block, night_end), OF_USERS)
    )
    of_items = of_items.withColumns(
        {"variety": F.lit(None).cast("double"), "repeats": F.create_map().cast("map<string,float>")}
    )
    of_users = of_users.withColumns({"sales_vector": F.array().cast("array<float>"), "bias": F.lit(None).cast("float")})
    kinds = [frame.select(F.lit(kind).alias("kind"), "*") for kind, frame in (("item", of_items), ("user", of_users))]
    return (
        kinds[0].unionByName(kinds[1]).select(F.lit(day).alias("day"), "*", F.lit(model.version).alias("model_version"))
    )


def _kept(wanted: DataFrame, last_vectors: DataFrame, last_items: DataFrame) -> DataFrame:
    """Last night's vectors of the wanted items that are described as they were."""
    same = [F.col(f"wanted.{name}").eqNullSafe(F.col(f"last.{name}")) for name in DESCRIBED]
    unchanged = wanted.alias("wanted").join(
        last_items.alias("last"),
        on=reduce(and_, same, F.col("wanted.item_id") == F.col("last.item_id")),
        how="left_semi",
    )
    of_items = last_vectors.where("kind = 'item'").withColumn("vector", with_last(F.col("bias")))
    return of_items.select("id", *VECTORS).join(unchanged, on=F.col("id") == F.col("item_id"), how="left_semi")


def sold(of_items: DataFrame, trends: DataFrame, pull: list[float] | None) -> DataFrame:
    """Adds ``sales_vector`` and ``bias``, and to each vector's last entry what tonight's trends say.

    Args:
        of_items: :data:`SCHEMA`, without trends.
        pull: what each trend adds; None where how an item sells of late counts for nothing.
    """
    told = of_items.join(trends.withColumnRenamed("item_id", "id"), on="id", how="left")
    counts = (F.coalesce(f"trend_{days}d", F.lit(0.0)) for days in TREND_HALF_LIVES)
    late = [F.lit(0.0) if pull is None else F.log1p(count / TREND_PRIOR) for count in counts]
    weeks, again = (F.coalesce(name, F.lit(0)) for name in ("weeks", "weeks_again"))
    again = F.log((again + USUALLY_AGAIN * SURELY_AGAIN) / (weeks + SURELY_AGAIN))
    bias = F.element_at("vector", -1)
    moved = reduce(add, (each * part for each, part in zip(late, pull or [0.0] * len(late), strict=True)), bias)
    return told.select(
        "id",
        with_last(moved).alias("vector"),
        *VECTORS[1:],
        F.array(*late, again).cast("array<float>").alias("sales_vector"),
        bias.alias("bias"),
    )


def with_last(last: Column) -> Column:
    """The column ``vector`` with another last entry."""
    return F.concat(F.slice("vector", 1, F.size("vector") - 1), F.array(last.cast("float")))


def recent(name: str, length: int) -> Column:
    """The last ``length`` entries of an array; slice gives nothing for a start before the first entry."""
    start = F.greatest(F.size(name) - length + 1, F.lit(1))
    return F.slice(name, start, length).alias(name)


def item_vectors(wanted: DataFrame, folder: str) -> DataFrame:
    """Encodes item_id and DESCRIBED to :data:`SCHEMA`."""
    # texts of like length share a batch, so little of it is padding; equal texts share one, so they are read once
    ordered = spread(wanted, "text").sortWithinPartitions(F.length("text"), "text", "item_id")
    return ordered.mapInArrow(item_encoder(folder), SCHEMA)


def item_encoder(folder: str) -> Callable:
    """Arrow batches of item_id, DESCRIBED to :data:`SCHEMA`."""

    def encode(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in parts(batches, ITEMS_AT_ONCE):
            ids, texts, brands, paths = (batch[name].to_pylist() for name in ("item_id", *DESCRIBED))
            tags = list(map(tag_names, brands, paths))
            yield _output(batch["item_id"], scorer(folder).items(texts, tags, ids))

    return encode


def user_encoder(folder: str, block: Block, night_end: datetime) -> Callable:
    """Arrow batches of user_id, item_ids, times to :data:`OF_USERS`; who has no item of the block has no row."""
    known = (block.matrix("vector"), block.matrix("sales_vector"))

    def encode(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in parts(batches, USERS_AT_ONCE):
            encoder = scorer(folder)
            inputs = pad(batch, block, known, encoder.manifest["max_history"], night_end)
            seen = (inputs[1] >= 0).any(axis=1)
            if seen.any():
                users = batch["user_id"].filter(pa.array(seen))
                ages, entries, *about = (array[seen] for array in inputs)
                found = encoder.users(*about, ages, entries)
                variety = pa.array(found["variety"].astype(np.float64), from_pandas=True)
                made = _output(users, found).append_column("variety", variety)
                yield made.append_column("repeats", _repeats(entries, found["repeats"], block.ids))

    return encode


def pad(
    batch: pa.RecordBatch, block: Block, known: tuple[np.ndarray, ...], length: int, night_end: datetime
) -> tuple[np.ndarray, ...]:
    """Histories as the user encoder reads them: ages in days and entries [n, length], and [n, length, d] for each
    matrix of the block's items.

    An entry is the item's position in the block, -1 for padding. Items that are not in the block leave no gap; the most
    recent stands at length - 1.
    """
    items = batch["item_ids"]
    positions = block.positions(items.flatten())
    owners = np.repeat(np.arange(len(items)), items.value_lengths().to_numpy())
    times = batch["times"].flatten().cast(pa.timestamp("us", "UTC")).to_numpy(zero_copy_only=False)
    end = np.datetime64(night_end.replace(tzinfo=None), "us")

    kept = positions >= 0
    owners, positions, times = owners[kept], positions[kept], times[kept]
    after = np.searchsorted(owners, owners, side="right") - np.arange(len(owners))  # 1 for a history's last item
    place = (owners, length - after)
    ages, entries = np.zeros((len(items), length), np.float32), np.full((len(items), length), -1, np.int64)
    entries[place] = positions
    ages[place] = (end - times) / np.timedelta64(1, "D")
    told = [np.zeros((*entries.shape, each.shape[1]), np.float32) for each in known]
    for mine, each in zip(told, known, strict=True):
        mine[place] = each[positions]
    return ages, entries, *told


def _repeats(entries: np.ndarray, repeats: np.ndarray, ids: pa.Array) -> pa.MapArray:
    """A user's map of item to what it scores above the inner product; the model gives 0 but for its latest place."""
    require_finite("lists.vectors: repeats", repeats)
    told = (entries >= 0) & (repeats != 0)
    offsets = np.concatenate([[0], told.sum(1).cumsum()]).astype(np.int32)
    return pa.MapArray.from_arrays(offsets, ids.take(pa.array(entries[told])), pa.array(repeats[told], pa.float32()))


def _output(ids: pa.Array, found: dict[str, np.ndarray]) -> pa.RecordBatch:
    for name in VECTORS:
        require_finite(f"lists.vectors: {name}", found[name])
    return pa.RecordBatch.from_arrays([ids, *(lists(found[name]) for name in VECTORS)], names=["id", *VECTORS])
