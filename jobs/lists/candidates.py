"""The best items of each user on each surface, of those that the rules allow: exact top-K for users the model knows,
popular items for the others; then arrivals that they may like, and what is pinned for them.
"""

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

from jobs.lists.added import arriving, with_added
from jobs.lists.arrivals import Arrivals
from jobs.lists.asking import agreed, asking
from jobs.lists.blocks import Block, matrix, parts, spread
from jobs.lists.floor import Floor
from jobs.lists.named import ASKED, in_force
from jobs.lists.popularity import Popularity
from jobs.lists.spent import by_users, past
from jobs.lists.vectors import VECTORS
from jobs.model import Model
from jobs.ranking.topk import top_k
from jobs.reads import model as version
from jobs.reads import on, upto
from schemas.lists import SURFACES, Surface

READS = {
    "vectors": on("lists.vectors"),
    "items": on("catalogue.items"),
    "histories": on("behaviour.histories"),
    "users": on("profiles.users"),
    "log": upto("behaviour.log"),
    "rules": on("lists.rules"),
    "preferences": on("profiles.preferences"),
    "model": version(),
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
    vectors: DataFrame,
    items: DataFrame,
    histories: DataFrame,
    users: DataFrame,
    log: DataFrame,
    rules: DataFrame,
    preferences: DataFrame,
    model: Model,
    *,
    day: date,
) -> DataFrame:
    """Every user of ``users`` on every surface, with up to ``surface.candidates`` items that are on sale, arrivals and
    pins.

    Who wants no personalisation is a user without a vector, a group or a purchase here.
    """
    on_sale = items.where("on_sale").select("item_id", "first_seen", *ASKED)
    of_items = vectors.where("kind = 'item'").select(F.col("id").alias("item_id"), "vector", *HEADS)
    block = Block.pull(of_items.join(on_sale, "item_id", how="inner"))
    if not len(block.ids):
        raise ValueError(f"catalogue.items: on_sale is true for no item with a vector, night {day}; check the source")
    who = asking(users, preferences)
    counted = agreed(histories, who)
    floor = Floor(block, Popularity.pull(counted, who, block, day))
    everything, buyers = bought_by(of_items, counted)
    of_users = vectors.where("kind = 'user'").select(F.col("id").alias("user_id"), "vector", *HEADS, "repeats")
    before = counted.select("user_id", *past())
    asked = _known(who.join(of_users, "user_id", how="left")).join(before, "user_id", how="left")
    holding, found = in_force(rules), []
    for surface in SURFACES:
        left_out = F.array().cast("array<string>")
        everybody = asked.withColumn("bought", left_out) if surface.repeat else _with_bought(asked, log)
        shown = floor.of(holding, surface, day)
        search = searcher(shown, surface, Arrivals.of(everything, buyers, shown.block, model.path))
        found.append(spread(everybody, "user_id").mapInArrow(search, FOUND).withColumn("surface", F.lit(surface.name)))
    found = reduce(DataFrame.unionByName, found)
    return found.withColumns({"model_version": F.lit(model.version), "day": F.lit(day)})


def bought_by(of_items: DataFrame, histories: DataFrame) -> tuple[Block, np.ndarray]:
    """All items with their vectors, and float64 [items], how many users bought each."""
    users = histories.select(F.explode(F.array_distinct("item_ids")).alias("item_id")).groupBy("item_id").count()
    block = Block.pull(of_items.select("item_id", "vector").join(users, "item_id", how="left").na.fill(0, ["count"]))
    return block, block.columns["count"].to_numpy().astype(np.float64)


def _known(asked: DataFrame) -> DataFrame:
    """Without what the model knows of those who want no personalisation."""
    mine = {name: F.when(F.col("personal"), F.col(name)).alias(name) for name in (*VECTORS, "repeats")}
    return asked.select(*(mine.get(name, F.col(name)) for name in asked.columns))


def _with_bought(asked: DataFrame, log: DataFrame) -> DataFrame:
    """The users with ``bought``: all they ever purchased, nothing for those who want no personalisation."""
    bought = (
        log.where("event_type = 'purchase' AND item_id IS NOT NULL")
        .groupBy("user_id")
        .agg(F.collect_set("item_id").alias("bought"))
    )
    theirs = F.when(F.col("personal"), F.col("bought"))
    return asked.join(bought, "user_id", how="left").withColumn("bought", F.coalesce(theirs, F.array()))


def searcher(floor: Floor, surface: Surface, arrivals: Arrivals | None = None) -> Callable:
    """A function for ``mapInArrow``: batches of users with bought, a user's vectors and past to :data:`FOUND`.

    A user without a vector gets popular items. Their relevance is the share of the popularity of the list: what softmax
    makes of its logarithm. Arrivals and pinned items that are not among a user's best come after them.

    Args:
        arrivals: looked for by what users bought; None looks for none.
    """
    block = floor.block
    items, sales = block.matrix("vector"), floor.popularity.items()
    heads = {name: block.matrix(name) for name in HEADS}

    def by_model(users: pa.RecordBatch, banned: sparse.csr_array | None, more: np.ndarray) -> tuple[np.ndarray, ...]:
        again, wanted = _added(users["repeats"], block), matrix(users["vector"])
        best = top_k(wanted, items, surface.candidates, added=again, excluded=banned)
        positions, scores = with_added(*best, more, wanted, items, again)
        of_users = {name: matrix(users[name]) for name in HEADS}
        told = answers(of_users, heads, positions, scores)
        told["spend"] = by_users(told["spend"], positions, users, block)
        return positions, softmax(scores), told

    def by_popularity(
        users: pa.RecordBatch, banned: sparse.csr_array | None, more: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        wanted = floor.popularity.users(users["group"].to_pylist())
        best = top_k(wanted, sales, surface.candidates, excluded=banned)
        positions, counts = with_added(*best, more, wanted, sales)
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
                    refused, pinned = floor.asked(users, surface.length)
                    banned = _either(refused, _excluded(users["bought"], block))
                    more = pinned if arrivals is None else arriving(arrivals.liked(users["past"]), banned, pinned)
                    yield _output(users, block, policy, *find(users, banned, more))

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
    """Shares [n, k] of each row; a score of -inf gets 0."""
    largest = scores.max(axis=1, keepdims=True, initial=-np.inf)
    largest = np.where(np.isfinite(largest), largest, 0.0)
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


def _either(one: sparse.csr_array | None, other: sparse.csr_array | None) -> sparse.csr_array | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def _output(
    users: pa.RecordBatch,
    block: Block,
    policy: str,
    positions: np.ndarray,
    relevance: np.ndarray,
    told: dict[str, np.ndarray],
) -> pa.RecordBatch:
    found = positions >= 0
    rows, _ = np.nonzero(found)
    ranks = found.cumsum(axis=1)[found]
    columns = [
        users["user_id"].take(pa.array(rows)),
        block.ids.take(pa.array(positions[found])),
        pa.array(ranks, pa.int32()),
        pa.array(relevance[found]),
        *(pa.array(told[name][found], mask=np.isnan(told[name][found])) for name in TOLD),
        pa.array([policy] * len(rows), pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, names=NAMES)
