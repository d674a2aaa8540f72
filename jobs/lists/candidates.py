"""The best items of each user on each surface: exact top-K for users the model knows, popular items for the others."""

from collections.abc import Callable, Iterator
from datetime import date
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy import sparse
from scipy.special import expit

from jobs.lists.blocks import Block, matrix, parts, spread
from jobs.lists.popularity import Popularity, group
from jobs.lists.vectors import VECTORS
from jobs.ranking.topk import top_k
from jobs.reads import on, upto
from schemas.lists import SURFACES

READS = {
    "vectors": on("lists.vectors"),
    "items": on("catalogue.items"),
    "histories": on("behaviour.histories"),
    "users": on("profiles.users"),
    "log": upto("behaviour.log"),
}

FOUND = (
    "user_id string, item_id string, rank int, relevance double, p_click double, p_purchase double, spend double, "
    "policy string"
)
NAMES = [column.split()[0] for column in FOUND.split(", ")]
HEADS = VECTORS[1:]
TOLD = ("p_click", "p_purchase", "spend")
USERS_AT_ONCE = 512


def candidates(
    vectors: DataFrame, items: DataFrame, histories: DataFrame, users: DataFrame, log: DataFrame, *, day: date
) -> DataFrame:
    """Every user of ``users`` on every surface, with up to ``surface.candidates`` items that are on sale."""
    on_sale = items.where("on_sale").select("item_id")
    of_items = vectors.where("kind = 'item'").select(F.col("id").alias("item_id"), "vector", *HEADS)
    block = Block.pull(of_items.join(on_sale, "item_id", how="left_semi"))
    if not len(block.ids):
        raise ValueError(f"catalogue.items: on_sale is true for no item with a vector, night {day}; check the source")
    popularity = Popularity.pull(histories, users, block, day)
    of_users = vectors.where("kind = 'user'").select(F.col("id").alias("user_id"), "vector", *HEADS, "repeats")
    asking = users.select("user_id", group("attributes").alias("group")).join(of_users, "user_id", how="left")
    found = []
    for surface in SURFACES:
        left_out = F.array().cast("array<string>")
        everybody = asking.withColumn("bought", left_out) if surface.repeat else _with_bought(asking, log)
        lists = spread(everybody, "user_id").mapInArrow(searcher(block, popularity, surface.candidates), FOUND)
        found.append(lists.withColumn("surface", F.lit(surface.name)))
    version = vectors.select("model_version").limit(1)
    return reduce(DataFrame.unionByName, found).crossJoin(F.broadcast(version)).withColumn("day", F.lit(day))


def _with_bought(asking: DataFrame, log: DataFrame) -> DataFrame:
    """The users with ``bought``: all they ever purchased."""
    bought = (
        log.where("event_type = 'purchase' AND item_id IS NOT NULL")
        .groupBy("user_id")
        .agg(F.collect_set("item_id").alias("bought"))
    )
    return asking.join(bought, "user_id", how="left").withColumn("bought", F.coalesce("bought", F.array()))


def searcher(block: Block, popularity: Popularity, length: int) -> Callable:
    """A function for ``mapInArrow``: batches of user_id, group, bought and a user's vectors to :data:`FOUND`.

    A user without a vector gets popular items. Their relevance is the share of the popularity of the list: what softmax
    makes of its logarithm.
    """
    items, sales = block.matrix("vector"), popularity.items()
    heads = {name: block.matrix(name) for name in HEADS}

    def by_model(users: pa.RecordBatch, banned: sparse.csr_array | None) -> tuple[np.ndarray, ...]:
        again = _added(users["repeats"], block)
        positions, scores = top_k(matrix(users["vector"]), items, length, added=again, excluded=banned)
        of_users = {name: matrix(users[name]) for name in HEADS}
        return positions, softmax(scores), answers(of_users, heads, positions, scores)

    def by_popularity(users: pa.RecordBatch, banned: sparse.csr_array | None) -> tuple[np.ndarray, ...]:
        wanted = popularity.users(users["group"].to_pylist())
        positions, counts = top_k(wanted, sales, length, excluded=banned)
        counts = counts.clip(0)
        total = counts.sum(axis=1, keepdims=True)
        shares = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
        return positions, shares, {name: np.full(positions.shape, np.nan) for name in TOLD}

    def search(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in parts(batches, USERS_AT_ONCE):
            known = batch["vector"].is_valid()
            for policy, rows, find in (("model", known, by_model), ("popular", pc.invert(known), by_popularity)):
                users = batch.filter(rows)
                if users.num_rows:
                    yield _output(users, block, policy, *find(users, _excluded(users["bought"], block)))

    return search


def answers(
    users: dict[str, np.ndarray], items: dict[str, np.ndarray], positions: np.ndarray, scores: np.ndarray
) -> dict[str, np.ndarray]:
    """p_click, p_purchase and spend of candidates, float64 [n, k] each, NaN from a head that wasn't trained.

    Args:
        users, items: vectors of each head, see lists.vectors: [n, w + 2] or [n, w + 1] of spend, and [items, w + 1].
        positions, scores: [n, k], which items, and their relevance before the softmax.
    """
    unknown = np.full(positions.shape, np.nan)
    scores = np.where(positions >= 0, scores, 0.0)

    def compared(name: str, own: np.ndarray) -> np.ndarray:
        return np.einsum("np,nkp->nk", own, items[name][positions], dtype=np.float64)

    def probability(name: str) -> np.ndarray:
        if not items[name].shape[1]:
            return unknown
        return expit(compared(name, users[name][:, :-1]) + users[name][:, -1:] * scores)

    p_click, p_purchase = probability("click_vector"), probability("purchase_vector")
    if items["click_vector"].shape[1]:  # what was predicted is p(purchase | click)
        p_purchase = p_purchase * p_click
    spend = np.exp(compared("spend_vector", users["spend_vector"])) if items["spend_vector"].shape[1] else unknown
    return dict(zip(TOLD, (p_click, p_purchase, spend), strict=True))


def _added(repeats: pa.MapArray, block: Block) -> sparse.csr_array:
    """float32 [users, items of the block]: what having bought an item adds to its score."""
    bounds = repeats.offsets.to_numpy()
    inside = slice(bounds[0], bounds[-1])  # a slice of a column shares the whole column's keys
    positions, values = block.positions(repeats.keys[inside]), repeats.items[inside].to_numpy()
    users = np.repeat(np.arange(len(repeats)), np.diff(bounds))
    on_sale = positions >= 0
    entries = (values[on_sale], (users[on_sale], positions[on_sale]))
    return sparse.csr_array(entries, shape=(len(repeats), len(block.ids)))


def softmax(scores: np.ndarray) -> np.ndarray:
    """Shares [n, k] of each row, best first; a score of -inf gets 0."""
    largest = np.where(np.isfinite(scores[:, :1]), scores[:, :1], 0.0)
    powers = np.exp(scores - largest)
    return powers / np.maximum(powers.sum(axis=1, keepdims=True), 1.0)  # the best one's power is 1


def _excluded(bought: pa.ListArray, block: Block) -> sparse.csr_array | None:
    """[users, items of the block], True where the user bought the item; None if nobody bought any."""
    positions = block.positions(bought.flatten())
    users = np.repeat(np.arange(len(bought)), bought.value_lengths().to_numpy())[positions >= 0]
    if not len(users):
        return None
    entries = (np.ones(len(users), bool), (users, positions[positions >= 0]))
    return sparse.csr_array(entries, shape=(len(bought), len(block.ids)))


def _output(
    users: pa.RecordBatch,
    block: Block,
    policy: str,
    positions: np.ndarray,
    relevance: np.ndarray,
    told: dict[str, np.ndarray],
) -> pa.RecordBatch:
    found = positions >= 0
    rows, ranks = np.nonzero(found)
    columns = [
        users["user_id"].take(pa.array(rows)),
        block.ids.take(pa.array(positions[found])),
        pa.array(ranks + 1, pa.int32()),
        pa.array(relevance[found]),
        *(pa.array(told[name][found], mask=np.isnan(told[name][found])) for name in TOLD),
        pa.array([policy] * len(rows), pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, names=NAMES)
