"""From a user's candidates to the list: objectives, rules, blend and personal reasons, one Arrow batch at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.lists.asking import REFUSING
from jobs.lists.blocks import parts
from jobs.lists.curious import LEARNING, curious, draws
from jobs.lists.house import CHEAPEST_FIRST, House, moved_by, weights
from jobs.lists.offered import Shelf, liking, objectives, tastes
from jobs.lists.reasons import from_others, personal
from jobs.lists.weighed import Weighed
from jobs.ranking.blend import Blend, blend
from jobs.ranking.explore import Explored
from jobs.ranking.reorder import by_price
from jobs.ranking.rerank import Reranking, Tastes, capped
from jobs.ranking.rules import Ruled, bumps, ruled
from jobs.ranking.values import Scale
from schemas.lists import Surface

TOLD = ("relevance", "p_click", "p_purchase", "satisfaction", "expected_revenue", "margin", "novelty", "fairness")
CHOSEN = (
    "user_id string, rank int, item_id string, score double, relevance double, p_click double, p_purchase double, "
    "satisfaction double, expected_revenue double, margin double, novelty double, fairness double, diversity double, "
    "weights map<string,double>, reason string, rules array<string>, propensity double, policy string"
)
NAMES = [column.split()[0] for column in CHOSEN.split(", ")]
EXPLORE = "explore"  # the policy of a row that was tried
USERS_AT_ONCE = 128


@dataclass(frozen=True)
class Asked:
    """A batch of n users as the blend takes it.

    Args:
        positions: int64 [n, c], which item each candidate is; -1 for padding.
        values: the objectives [n, c], masked where unknown.
        weights: float64 [n] by objective.
        scales: by objective.
        held: the candidates as the rules see them.
        how, tastes: how lists are re-ranked, and by what; None where all is neutral.
    """

    positions: np.ndarray
    values: dict[str, np.ma.MaskedArray]
    weights: dict[str, np.ndarray]
    scales: dict[str, Scale]
    held: Ruled
    how: Reranking | None = None
    tastes: Tastes | None = None

    def rows(self, rows: np.ndarray, bump: np.ndarray) -> "Asked":
        """Some of the users, with another bump."""
        values, mixed = ({name: each[rows] for name, each in some.items()} for some in (self.values, self.weights))
        reranking = (None if each is None else each.rows(rows) for each in (self.how, self.tastes))
        return Asked(self.positions[rows], values, mixed, self.scales, self.held.rows(rows, bump), *reranking)

    def lists(self, shelf: Shelf, length: int) -> Blend:
        held = self.held
        return blend(
            {name: self.values[name] for name in self.scales},
            shelf.units[self.positions],
            held.allowed,
            self.weights,
            length,
            scales=self.scales,
            bump=held.bump,
            limits=held.limits,
            pinned=held.pinned,
            how=self.how,
            tastes=self.tastes,
        )


def chooser(shelf: Shelf, house: House, weighed: Weighed, surface: Surface, day: date) -> Callable:
    """A function for ``mapInArrow``: batches of a user each row to :data:`CHOSEN`.

    A batch has the columns user_id, policy, audience and variety; segment, group, age, buys and wishes of
    :mod:`jobs.lists.asking`; offers, structs of item_id, relevance, p_click, p_purchase and spend in the order of the
    candidates' ranks; item_ids and times, the history, null if there is none or it must not be used.
    """

    length = surface.length

    def choose(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in parts(batches, USERS_AT_ONCE):
            positions, values = objectives(batch["offers"], shelf, length)
            wishes = batch["wishes"].to_pylist()
            users = shelf.named.users(batch)
            held = ruled(house.rules, shelf.named.goods, positions, users, length)
            variety = batch["variety"].to_numpy(zero_copy_only=False)
            audiences = batch["audience"].to_pylist()
            mixed = weights(weighed.of_users(audiences, variety), wishes)
            how = weighed.rerankings(audiences, _wishing(wishes, *REFUSING))
            mine = None if how is None else tastes(positions, batch["item_ids"], shelf)
            asked = Asked(positions, values, mixed, weighed.scales, held, how, mine)
            plain, _ = bumps(house.without_campaigns, shelf.named.goods.at(positions), users)
            best = asked.lists(shelf, length)
            brought = _brought(asked, best, house, plain, shelf, length)
            lists, found = _explored(asked, best, shelf, batch, wishes, surface, day, weighed.explored)
            prices = np.where(positions >= 0, shelf.named.goods.prices[positions], np.nan)
            final = by_price(lists, _wishing(wishes, CHEAPEST_FIRST), prices, shelf.units[positions])
            told = _told(house, asked, wishes, lists, final, brought)
            yield _rows(batch, shelf, asked, final, found, told, day)

    return choose


def _explored(
    asked: Asked,
    lists: Blend,
    shelf: Shelf,
    batch: pa.RecordBatch,
    wishes: list[list[dict]],
    surface: Surface,
    day: date,
    budget: float,
) -> tuple[Blend, Explored]:
    """Lists that are sorted by price, and those of people who want no personalisation, are as they are."""
    willing = ~_wishing(wishes, CHEAPEST_FIRST, *REFUSING)
    mine = draws(batch["user_id"].to_pylist(), surface, day)
    at = asked.positions
    about = (shelf.seen[at], shelf.arrived[at], shelf.units[at])
    held = asked.held
    if asked.how is not None:  # what is tried keeps to the cap as well
        held = replace(held, limits=(*held.limits, capped(asked.how, asked.tastes, surface.length)))
    return curious(lists, held, liking(asked.values), *about, willing, mine, surface, budget)


def _wishing(wishes: list[list[dict]], *names: str) -> np.ndarray:
    return np.array([any(wish["preference"] in names for wish in each) for each in wishes], bool)


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


def _rows(
    batch: pa.RecordBatch,
    shelf: Shelf,
    asked: Asked,
    lists: Blend,
    found: Explored,
    told: tuple[list[str | None], list[list[str]]],
    day: date,
) -> pa.RecordBatch:
    listed = lists.picks >= 0
    users, places = np.nonzero(listed)
    ranks = listed.cumsum(axis=1)[listed]  # a list that is too short for its pins has no gap
    picks = lists.picks[users, places]
    items = asked.positions[users, picks]
    own = _reasons(batch, shelf, np.split(items, np.searchsorted(users, range(1, len(batch)))), day)
    tried = found.tried[users, places]
    reasons = [
        campaign or (LEARNING if learning else reason)
        for campaign, learning, reason in zip(told[0], tried, own, strict=True)
    ]
    policies = batch["policy"].take(pa.array(users))
    used = list(zip(*(each.tolist() for each in lists.weights.values()), strict=True))
    mixed = [list(zip(lists.weights, used[user], strict=True)) for user in users]
    chosen = [asked.values[name][users, picks] for name in TOLD]
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
        pa.array(found.propensity[users, places]),
        pc.if_else(pa.array(tried), EXPLORE, policies),
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
