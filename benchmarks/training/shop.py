"""A made-up shop whose micro-batches are as large as a real one's: people who buy for a year, and what they saw."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from benchmarks.accuracy.ours import Catalogue, write_lake
from training.data import Histories

DAY = date(2024, 3, 31)
DAYS = 365  # of history
PROMOTED_DAYS = 63  # as far back as the recipes' queries go
BASKET = 8  # lines
MIDDLE, SHORTEST, LONGEST = 200, 16, 800  # events of a user; the recipes see the latest 512
BRANDS = ("Alder", "Birch", "Cedar", "Elm", "Hazel", "Juniper", "Linden", "Maple", "Oak", "Rowan")
KINDS = ("whole milk", "rye bread", "hand soap", "tomato soup", "orange juice", "ground coffee", "dish cloths", "rice")
SIZES = ("small", "family pack", "twin pack", "value size", "refill")


@dataclass(frozen=True)
class Size:
    """How many users, items and distinct texts of items."""

    users: int
    items: int
    texts: int


def write(lake: Path, size: Size) -> None:
    """The night DAY; the same on every machine, for the seed is fixed."""
    rng = np.random.default_rng(11)
    users = [f"u{user:06}" for user in range(size.users)]
    histories, catalogue = _histories(size, rng), _catalogue(size)
    write_lake(lake, DAY, users, histories, catalogue)
    write_deltalake(str(lake / "behaviour/exposures"), _exposures(users, histories, catalogue, rng))


def _histories(size: Size, rng: np.random.Generator) -> Histories:
    """Baskets on days of the year; few items sell much, few users buy much."""
    counts = np.clip(rng.lognormal(np.log(MIDDLE), 0.8, size.users), SHORTEST, LONGEST).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    end = (DAY - date(1970, 1, 1)).days + 1
    times = []
    for count in counts:
        days = np.sort(rng.integers(end - DAYS, end, -(-count // BASKET)))
        times.append(np.repeat(days, BASKET)[:count] + 0.4)  # in the forenoon
    times = np.concatenate(times)
    items = (size.items * rng.random(len(times)) ** 2).astype(np.int64)
    prices = np.round(rng.lognormal(1.0, 0.5, size.items), 2)
    return Histories(offsets, items, times, prices[items], np.floor(times).astype(np.int64))


def _catalogue(size: Size) -> Catalogue:
    """Items that share texts, as a shop's sizes and flavours of a thing do."""
    ids, texts, brands, paths = [f"i{item:06}" for item in range(size.items)], [], [], []
    for item in range(size.items):
        text = item % size.texts
        brand, kind, pack = BRANDS[text % 10], KINDS[text // 10 % 8], SIZES[text // 80 % 5]
        texts.append(f"{brand} {kind}, {pack}, no. {text}")
        brands.append(brand)
        paths.append([kind, f"{kind} {pack}"])
    return Catalogue(ids, texts, brands, paths)


def _exposures(users: list[str], histories: Histories, catalogue: Catalogue, rng: np.random.Generator) -> pa.Table:
    """To everyone who bought something of late, on that day: what they bought, and as much that they left there.

    All that was bought had been clicked, and a quarter of what was left.
    """
    end = (DAY - date(1970, 1, 1)).days + 1
    rows = np.flatnonzero(histories.times >= end - PROMOTED_DAYS)
    left = rng.integers(0, len(catalogue.ids), len(rows))
    items = np.concatenate([histories.items[rows], left])
    days = np.tile(np.floor(histories.times[rows]).astype(np.int32), 2)
    return pa.table(
        {
            "user_id": pa.array(users).take(pa.array(np.tile(histories.users[rows], 2))),
            "item_id": pa.array(catalogue.ids).take(pa.array(items)),
            "day": pa.array(days).cast(pa.date32()),
            "clicked": np.concatenate([np.ones(len(rows), bool), rng.random(len(rows)) < 0.25]),
            "bought": np.repeat([True, False], len(rows)),
            "weight": np.repeat([1.0, 4.0], len(rows)),
        }
    )
