"""Complete Journey's last weeks as trials: what one model offered every household, and what the household then took."""

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import torch

from benchmarks.accuracy import journey, ours
from benchmarks.accuracy.protocol import Split
from jobs.lists.candidates import answers, softmax
from jobs.lists.held import scales_of
from jobs.ranking.blend import unit
from jobs.ranking.rerank import Tastes
from jobs.ranking.trial import Trial
from jobs.ranking.values import Scale, expected_revenue, novelty, own_spend, satisfaction, small_suppliers
from schemas.objectives import SATISFACTION
from schemas.profiles import NEW, OCCASIONAL, RECENT, SEGMENTS
from training.data import Histories, Night, load
from training.heads import PAIRED
from training.metrics import Relevant
from training.served import Exported

CANDIDATES, LENGTH = 200, 10
BLOCK = 256
LATE = 28.0  # days of what counts as sold of late


@dataclass(frozen=True)
class Week:
    """One held-out week: n households, c candidates each.

    Args:
        day: its last.
        users: int64 [n], numbers that stay from week to week.
        positions: int64 [n, c].
        values: by objective, float64 [n, c], masked where unknown.
        units: float32 [items, d].
        taken, paid, relevant: as in :class:`Trial`.
        price: float64 [n, c], what a unit usually cost before the week; 0 where nobody bought it.
        audience: str [n], by baskets of the last thirteen weeks and by variety.
        length: places of a list.
        tastes: of the households; None where no policy asks for them.
    """

    day: date
    users: np.ndarray
    positions: np.ndarray
    values: dict[str, np.ma.MaskedArray]
    units: np.ndarray
    taken: np.ndarray
    paid: np.ndarray
    relevant: np.ndarray
    price: np.ndarray
    audience: np.ndarray
    length: int = LENGTH
    tastes: Tastes | None = None

    def trial(self, scales: dict[str, Scale], users: np.ndarray | slice = slice(None)) -> Trial:
        """Of these users, all by default."""
        scaled = {name: scale.scaled(self.values[name][users]) for name, scale in scales.items()}
        told = (self.positions, self.taken, self.paid, self.relevant)
        positions, taken, paid, relevant = (each[users] for each in told)
        tastes = None if self.tastes is None else self.tastes.rows(users)
        return Trial(scaled, self.units, positions, taken, paid, relevant, LENGTH, tastes)

    def scales(self) -> dict[str, Scale]:
        return scales_of(self.values, LENGTH)


def of(data: journey.Journey, lake: Path, export: Path, day: date, kept: slice = slice(None)) -> Week:
    """The week up to ``day`` by an export that knows nothing of it; the night is written to ``lake``.

    Args:
        kept: of the households that bought something that week.
    """
    ours.write_lake(lake, day, data.users, data.upto(day), data.catalogue)
    split = _some(data.week(day), kept)
    offers = _offers(export, load(str(lake), day), data.catalogue.ids, split)
    seen, positions = split.asked, offers.positions
    price = np.ma.masked_equal(_prices(seen, split.items)[positions], 0)
    taken, paid = _labels(data, split, positions)
    recent = seen.between(split.now - RECENT, split.now)
    keys = np.unique(np.stack([recent.users, recent.baskets]), axis=1)
    baskets = np.bincount(keys[0], minlength=len(seen.offsets) - 1)[split.users]
    return Week(
        day=day,
        users=split.users,
        positions=positions,
        values=_values(offers, split, price, data.catalogue.brands),
        units=offers.units,
        taken=taken,
        paid=paid,
        relevant=split.relevant.counts,
        price=price.filled(0),
        audience=_audiences(baskets, offers.appetite),
        tastes=_tastes(data.catalogue.paths, seen, split.users, positions),
    )


@dataclass(frozen=True)
class _Offers:
    """Of n households: c candidates each, as lists.candidates has them, and the taste for variety; units of items."""

    positions: np.ndarray
    relevance: np.ndarray
    heads: dict[str, np.ma.MaskedArray]
    appetite: np.ndarray
    units: np.ndarray


def _offers(export: Path, night: Night, ids: list[str], split: Split) -> _Offers:
    exported = Exported(export)
    served = exported.serve(night)
    place = dict(zip(night.item_ids, range(len(night.item_ids)), strict=True))
    here = np.array([place[item] for item in ids])
    seen, tasks = split.asked, exported.manifest["tasks"]
    moved = replace(seen, items=here[seen.items])

    def heads(of) -> dict[str, np.ndarray]:
        """By the columns of lists.vectors; no entries of a head that nothing trained."""
        found = {f"{name}_vector": getattr(of, name).numpy() for name in PAIRED}
        return {name: each if name.removesuffix("_vector") in tasks else each[:, :0] for name, each in found.items()}

    of_items, parts = heads(served.items), []
    for low in range(0, len(split.users), BLOCK):
        asked = served.users(moved, split.users[low : low + BLOCK], split.now)
        best = torch.topk(asked.scores[:, here], CANDIDATES, dim=1)
        positions, scores = here[best.indices.numpy()], best.values.numpy().astype(np.float64)
        told = answers(heads(asked), of_items, positions, scores)
        parts.append((best.indices.numpy(), softmax(scores), told, asked.variety.numpy()))
    positions, relevance, appetite = (np.concatenate([part[place] for part in parts]) for place in (0, 1, 3))
    told = {name: np.ma.masked_invalid(np.concatenate([part[2][name] for part in parts])) for name in parts[0][2]}
    return _Offers(positions, relevance, told, appetite, unit(served.items.vectors.numpy()[here][:, :-1]))


def _values(
    offers: _Offers, split: Split, price: np.ma.MaskedArray, brands: list[str | None]
) -> dict[str, np.ma.MaskedArray]:
    """By objective, as :func:`jobs.lists.offered.objectives` has them."""
    seen, positions, told = split.asked, offers.positions, offers.heads
    late = seen.between(split.now - LATE, split.now)
    pairs = np.unique(np.stack([late.users, late.items]), axis=1)
    shoppers = np.bincount(pairs[1], minlength=split.items)
    numbers = {brand: number for number, brand in enumerate(sorted({each for each in brands if each}))}
    suppliers = np.array([numbers.get(brand, -1) for brand in brands])
    small = small_suppliers(suppliers, np.bincount(late.items, minlength=split.items).astype(float))
    relevance = np.ma.array(offers.relevance)
    spend = np.ma.masked_invalid(_spend(told["spend"].filled(np.nan), seen, split.users, positions))
    return {
        "relevance": relevance,
        "satisfaction": satisfaction(told["p_click"], told["p_purchase"], SATISFACTION),
        "expected_revenue": expected_revenue(relevance, spend, price),
        "novelty": np.ma.array(novelty(shoppers, len(np.unique(late.users)))[positions]),
        "fairness": np.ma.masked_invalid(small[positions]),
    }


def _some(split: Split, kept: slice) -> Split:
    rows = np.arange(len(split.users))[kept]
    items = [split.relevant.items[split.relevant.offsets[row] : split.relevant.offsets[row + 1]] for row in rows]
    return replace(split, users=split.users[rows], relevant=Relevant.of(items))


def joined(weeks: list[Week]) -> Week:
    """All user-weeks as one, with the last one's vectors: an item's place in the catalogue is the same in all.

    Without tastes, whose categories are numbered week by week.
    """
    values = {name: np.ma.concatenate([week.values[name] for week in weeks]) for name in weeks[0].values}
    names = ("users", "positions", "taken", "paid", "relevant", "price", "audience")
    told = {name: np.concatenate([getattr(week, name) for week in weeks]) for name in names}
    return replace(weeks[-1], values=values, tastes=None, **told)


def _audiences(baskets: np.ndarray, appetite: np.ndarray) -> np.ndarray:
    """In the words of ``jobs.lists.audiences``: by the segments of profiles.users, and above or below the median."""
    segments = np.array(SEGMENTS)[np.searchsorted([0, NEW, OCCASIONAL], baskets)]
    tastes = np.where(appetite > np.median(appetite), "varied", "steady")
    return np.array([f"{segment}, {taste}" for segment, taste in zip(segments, tastes, strict=True)])


def _tastes(paths: list[list[str]], seen: Histories, users: np.ndarray, positions: np.ndarray) -> Tastes:
    """By ``category`` of catalogue.items: the second of an item's path, or the first."""
    names = [path[min(1, len(path) - 1)] if path else None for path in paths]
    numbers = {name: number for number, name in enumerate(sorted({each for each in names if each}))}
    categories = np.array([numbers.get(name, -1) for name in names])
    past = [seen.of(user)[0] for user in users]
    owners = np.repeat(np.arange(len(past)), [len(each) for each in past])
    return Tastes.of(categories[positions], owners, categories[np.concatenate(past)])


def _spend(expected: np.ndarray, seen: Histories, users: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """float64 [n, c]: what a purchase brings, as lists.candidates has it."""
    rows = np.full(len(seen.offsets) - 1, -1)
    rows[users] = np.arange(len(users))
    owners = rows[seen.users]
    mine = owners >= 0
    return own_spend(
        expected, positions, owners[mine], *(each[mine] for each in (seen.items, seen.amounts, seen.baskets))
    )


def _prices(seen: Histories, items: int) -> np.ndarray:
    """float64 [items]: mean money of a line."""
    paid = np.isfinite(seen.amounts)
    count, total = (np.bincount(seen.items[paid], each, minlength=items) for each in (None, seen.amounts[paid]))
    return total / np.maximum(count, 1)


def _labels(data: journey.Journey, split, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the households took of their candidates in the week, and what they paid for it."""
    later = data.histories.between(split.now, split.now + 7)
    money = np.zeros(positions.shape)
    taken = np.zeros(positions.shape, bool)
    for row, user in enumerate(split.users):
        inside = slice(later.offsets[user], later.offsets[user + 1])
        items, place = np.unique(later.items[inside], return_inverse=True)
        spent = np.bincount(place, np.nan_to_num(later.amounts[inside]), minlength=len(items))
        at = np.searchsorted(items, positions[row]).clip(max=len(items) - 1)
        taken[row] = items[at] == positions[row]
        money[row] = np.where(taken[row], spent[at], 0.0)
    return taken, money
