"""From a user's candidates to the list: objectives, blend and personal reasons, one Arrow batch at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from jobs.lists.blocks import Block, parts
from jobs.lists.popularity import Popularity
from jobs.lists.reasons import from_others, personal
from jobs.ranking.blend import Blend, blend, unit
from schemas.objectives import WEIGHTS

OBJECTIVES = ("relevance", "p_click", "p_purchase", "expected_revenue")
CHOSEN = (
    "user_id string, rank int, item_id string, score double, relevance double, p_click double, p_purchase double, "
    "expected_revenue double, diversity double, weights map<string,double>, reason string, policy string"
)
NAMES = [column.split()[0] for column in CHOSEN.split(", ")]
USERS_AT_ONCE = 128


@dataclass(frozen=True)
class Shelf:
    """What a list needs to know of the items of a block.

    Args:
        block: the items.
        units: float32 [items, d], relevance vectors of unit length without their last dimension: it carries the item's
            bias, which is how much it sells and not what it is.
        prices: float64 [items], NaN where there is none.
        titles: of the items.
        popularity: of the items.
    """

    block: Block
    units: np.ndarray
    prices: np.ndarray
    titles: list[str]
    popularity: Popularity

    @classmethod
    def of(cls, block: Block, popularity: Popularity) -> "Shelf":
        """The shelf of a block with the columns vector, title and price."""
        prices = block.columns["price"].to_numpy().astype(np.float64)
        units = unit(block.matrix("vector")[:, :-1])
        return cls(block, units, prices, block.columns["title"].to_pylist(), popularity)


def chooser(shelf: Shelf, length: int, day: date) -> Callable:
    """A function for ``mapInArrow``: batches of a user each row to :data:`CHOSEN`.

    A batch has the columns user_id, policy and group; offers, structs of item_id, relevance, p_click, p_purchase and
    spend in the order of the candidates' ranks; item_ids and times, the history, null if there is none; buys, whether
    it holds purchases.
    """

    def choose(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in parts(batches, USERS_AT_ONCE):
            positions, values = objectives(batch["offers"], shelf)
            wanted = {name: values[name] for name in OBJECTIVES if name in WEIGHTS}
            lists = blend(wanted, shelf.units[positions], positions >= 0, WEIGHTS, length)
            yield _rows(batch, shelf, positions, values, lists, day)

    return choose


def objectives(offers: pa.ListArray, shelf: Shelf) -> tuple[np.ndarray, dict[str, np.ma.MaskedArray]]:
    """Positions int64 [n, c] of the candidates, -1 for padding, and their objectives [n, c], masked where unknown."""
    flat, counts = offers.flatten(), offers.value_lengths().to_numpy()
    place = np.arange(counts.max(initial=0)) < counts[:, None]
    positions = np.full(place.shape, -1, np.int64)
    positions[place] = shelf.block.positions(flat.field("item_id"))

    def spread_out(values: np.ndarray) -> np.ma.MaskedArray:
        out = np.full(place.shape, np.nan)
        out[place] = values
        return np.ma.masked_invalid(out)

    told = {
        name: spread_out(flat.field(name).to_numpy(zero_copy_only=False))
        for name in ("relevance", "p_click", "p_purchase", "spend")
    }
    spend = told.pop("spend")
    price = spread_out(shelf.prices[positions[place]])
    probability = np.ma.where(np.ma.getmaskarray(told["p_purchase"]), told["relevance"], told["p_purchase"])
    revenue = np.ma.where(np.ma.getmaskarray(spend), price, spend) * probability
    return positions, {**told, "expected_revenue": revenue}


def _rows(
    batch: pa.RecordBatch,
    shelf: Shelf,
    positions: np.ndarray,
    values: dict[str, np.ma.MaskedArray],
    lists: Blend,
    day: date,
) -> pa.RecordBatch:
    users, ranks = np.nonzero(lists.picks >= 0)
    picks = lists.picks[users, ranks]
    items = positions[users, picks]
    reasons = _reasons(batch, shelf, np.split(items, np.searchsorted(users, range(1, len(batch)))), day)
    used = list(zip(*(lists.weights[name].tolist() for name in WEIGHTS), strict=True))
    weights = [list(zip(WEIGHTS, used[user], strict=True)) for user in users]
    chosen = [values[name][users, picks] for name in OBJECTIVES]
    columns = [
        batch["user_id"].take(pa.array(users)),
        pa.array(ranks + 1, pa.int32()),
        shelf.block.ids.take(pa.array(items)),
        pa.array(lists.scores[users, ranks]),
        *(pa.array(np.ma.getdata(value), mask=np.ma.getmaskarray(value)) for value in chosen),
        pa.array(lists.diversity[users, ranks]),
        pa.array(weights, pa.map_(pa.string(), pa.float64())),
        pa.array(reasons, pa.string()),
        batch["policy"].take(pa.array(users)),
    ]
    return pa.RecordBatch.from_arrays(columns, names=NAMES)


def _reasons(batch: pa.RecordBatch, shelf: Shelf, lists: list[np.ndarray], day: date) -> list[str]:
    """The reason for each item of each list."""
    ends = np.cumsum(batch["item_ids"].value_lengths().fill_null(0).to_numpy())[:-1]
    days = batch["times"].flatten().cast(pa.timestamp("us")).to_numpy(zero_copy_only=False).astype("datetime64[D]")
    places = shelf.block.positions(batch["item_ids"].flatten())
    histories = zip(np.split(places, ends), np.split(days, ends), strict=True)
    users = zip(batch["buys"].to_pylist(), batch["group"].to_pylist(), strict=True)
    told: list[str] = []
    for items, history, (buys, group) in zip(lists, histories, users, strict=True):
        own = personal(history, items, shelf.units, shelf.titles, buys=buys, day=day)
        told += [reason or from_others(item, group, shelf.popularity) for item, reason in zip(items, own, strict=True)]
    return told
