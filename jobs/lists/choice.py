"""From a user's candidates to the list: objectives, rules, blend and personal reasons, one Arrow batch at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from jobs.lists.blocks import Block, parts
from jobs.lists.house import CHEAPEST_FIRST, House, moved_by, weights
from jobs.lists.named import Named
from jobs.lists.popularity import Popularity
from jobs.lists.reasons import from_others, personal
from jobs.ranking.blend import Blend, blend, unit
from jobs.ranking.reorder import by_price
from jobs.ranking.rules import Ruled, bumps, ruled
from schemas.objectives import WEIGHTS

OBJECTIVES = ("relevance", "p_click", "p_purchase", "expected_revenue")
CHOSEN = (
    "user_id string, rank int, item_id string, score double, relevance double, p_click double, p_purchase double, "
    "expected_revenue double, diversity double, weights map<string,double>, reason string, rules array<string>, "
    "policy string"
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
        named: the numbers that rules know the items by, and their prices.
        titles: of the items.
        popularity: of the items.
    """

    block: Block
    units: np.ndarray
    named: Named
    titles: list[str]
    popularity: Popularity

    @classmethod
    def of(cls, block: Block, popularity: Popularity) -> "Shelf":
        """The shelf of a block with the columns vector, title, and those that rules read."""
        units = unit(block.matrix("vector")[:, :-1])
        return cls(block, units, Named.of(block), block.columns["title"].to_pylist(), popularity)


@dataclass(frozen=True)
class Asked:
    """A batch of n users as the blend takes it.

    Args:
        positions: int64 [n, c], which item each candidate is; -1 for padding.
        values: the objectives [n, c], masked where unknown.
        weights: float64 [n] by objective.
        held: the candidates as the rules see them.
    """

    positions: np.ndarray
    values: dict[str, np.ma.MaskedArray]
    weights: dict[str, np.ndarray]
    held: Ruled

    def rows(self, rows: np.ndarray, bump: np.ndarray) -> "Asked":
        """Some of the users, with another bump."""
        values, mixed = ({name: each[rows] for name, each in some.items()} for some in (self.values, self.weights))
        return Asked(self.positions[rows], values, mixed, self.held.rows(rows, bump))

    def lists(self, shelf: Shelf, length: int) -> Blend:
        wanted = {name: self.values[name] for name in OBJECTIVES if name in WEIGHTS}
        held = self.held
        return blend(
            wanted,
            shelf.units[self.positions],
            held.allowed,
            self.weights,
            length,
            bump=held.bump,
            limits=held.limits,
            pinned=held.pinned,
        )


def chooser(shelf: Shelf, house: House, length: int, day: date) -> Callable:
    """A function for ``mapInArrow``: batches of a user each row to :data:`CHOSEN`.

    A batch has the columns user_id and policy; segment, group, age, buys and wishes of :mod:`jobs.lists.asking`;
    offers, structs of item_id, relevance, p_click, p_purchase and spend in the order of the candidates' ranks; item_ids
    and times, the history, null if there is none or it must not be used.
    """

    def choose(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in parts(batches, USERS_AT_ONCE):
            positions, values = objectives(batch["offers"], shelf, length)
            wishes = batch["wishes"].to_pylist()
            users = shelf.named.users(batch)
            held = ruled(house.rules, shelf.named.goods, positions, users, length)
            asked = Asked(positions, values, weights(wishes), held)
            lists = asked.lists(shelf, length)
            plain, _ = bumps(house.without_campaigns, shelf.named.goods, positions, users)
            brought = _brought(asked, lists, house, plain, shelf, length)
            cheapest = np.array([any(wish["preference"] == CHEAPEST_FIRST for wish in each) for each in wishes], bool)
            prices = np.where(positions >= 0, shelf.named.goods.prices[positions], np.nan)
            final = by_price(lists, cheapest, prices, shelf.units[positions])
            yield _rows(batch, shelf, asked, final, _told(house, asked, wishes, lists, final, brought), day)

    return choose


def _brought(asked: Asked, lists: Blend, house: House, plain: np.ndarray, shelf: Shelf, length: int) -> np.ndarray:
    """bool [n, c]: the candidates that would not stand in the list without the boosts of campaigns, bump ``plain``."""
    boosted = house.boosted(asked.held)
    chosen = np.zeros(boosted.shape, bool)
    users, ranks = np.nonzero(lists.picks >= 0)
    chosen[users, lists.picks[users, ranks]] = True
    brought = boosted & chosen
    rows = np.flatnonzero(brought.any(axis=1))
    if len(rows):
        without = asked.rows(rows, plain[rows]).lists(shelf, length).picks
        mine, places = np.nonzero(without >= 0)
        brought[rows[mine], without[mine, places]] = False
    return brought


def _told(
    house: House, asked: Asked, wishes: list[list[dict]], lists: Blend, final: Blend, brought: np.ndarray
) -> tuple[list[str | None], list[list[str]]]:
    """For each row of the final lists the reason of a campaign, and the rules and wishes that moved it."""
    users, ranks = np.nonzero(final.picks >= 0)
    picks = final.picks[users, ranks]
    reasons = house.reasons(asked.held, users, picks, brought[users, picks])
    return reasons, moved_by(asked.held, wishes, users, picks, (lists.picks != final.picks)[users, ranks])


def objectives(offers: pa.ListArray, shelf: Shelf, least: int) -> tuple[np.ndarray, dict[str, np.ma.MaskedArray]]:
    """Positions int64 [n, c] of the candidates, -1 for padding, and their objectives [n, c], masked where unknown.

    There are at least ``least`` columns, so that an item may be pinned to any place of a list.
    """
    flat, counts = offers.flatten(), offers.value_lengths().to_numpy()
    place = np.arange(counts.max(initial=least)) < counts[:, None]
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
    price = spread_out(shelf.named.goods.prices[positions[place]])
    probability = np.ma.where(np.ma.getmaskarray(told["p_purchase"]), told["relevance"], told["p_purchase"])
    revenue = np.ma.where(np.ma.getmaskarray(spend), price, spend) * probability
    return positions, {**told, "expected_revenue": revenue}


def _rows(
    batch: pa.RecordBatch,
    shelf: Shelf,
    asked: Asked,
    lists: Blend,
    told: tuple[list[str | None], list[list[str]]],
    day: date,
) -> pa.RecordBatch:
    found = lists.picks >= 0
    users, places = np.nonzero(found)
    ranks = found.cumsum(axis=1)[found]  # a list that is too short for its pins has no gap
    picks = lists.picks[users, places]
    items = asked.positions[users, picks]
    own = _reasons(batch, shelf, np.split(items, np.searchsorted(users, range(1, len(batch)))), day)
    reasons = [campaign or reason for campaign, reason in zip(told[0], own, strict=True)]
    used = list(zip(*(lists.weights[name].tolist() for name in WEIGHTS), strict=True))
    mixed = [list(zip(WEIGHTS, used[user], strict=True)) for user in users]
    chosen = [asked.values[name][users, picks] for name in OBJECTIVES]
    columns = [
        batch["user_id"].take(pa.array(users)),
        pa.array(ranks, pa.int32()),
        shelf.block.ids.take(pa.array(items)),
        pa.array(lists.scores[users, places]),
        *(pa.array(np.ma.getdata(value), mask=np.ma.getmaskarray(value)) for value in chosen),
        pa.array(lists.diversity[users, places]),
        pa.array(mixed, pa.map_(pa.string(), pa.float64())),
        pa.array(reasons, pa.string()),
        pa.array(told[1], pa.list_(pa.string())),
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
