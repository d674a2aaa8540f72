"""Complete Journey: a year's purchases of 2,469 households, cut anew before each of its last eight weeks."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from benchmarks.accuracy.ours import Catalogue
from benchmarks.accuracy.protocol import Split, matrix
from training.data import MICROSECONDS_A_DAY, Histories
from training.metrics import Relevant
from training.recipe import HELD_OUT_DAYS

LAST = date(2017, 12, 31)
WEEKS = 8
FEW = 5  # baskets: who has fewer is new
PROJECT = Path(__file__).parents[2]
LAKE = PROJECT / "var/benchmarks/journey"
KEY = "benchmark" * 4  # of the pseudonyms, in whose order training reads users: one for all machines
TABLES = (
    *("raw.events", "raw.items", "raw.promotions"),
    *("behaviour.log", "behaviour.exposures", "catalogue.items", "catalogue.texts"),
)


@dataclass(frozen=True)
class Journey:
    """All purchases of the year.

    Args:
        users: names, ascending.
        histories: of these users, items by their position in the catalogue.
    """

    users: list[str]
    histories: Histories
    catalogue: Catalogue

    def week(self, day: date) -> Split:
        """What is bought in the HELD_OUT_DAYS days up to ``day``, by what was known before them."""
        end = float((day - date(1970, 1, 1)).days + 1)
        cut = end - HELD_OUT_DAYS
        seen, later = self.histories.between(-np.inf, cut), self.histories.between(cut, end)
        users = np.flatnonzero(np.diff(later.offsets))
        taken = Relevant.of([later.of(user)[0] for user in users])
        return Split(seen, seen, len(self.catalogue.ids), cut, users, taken)

    def upto(self, day: date) -> Histories:
        """What the night ``day`` knows."""
        return self.histories.between(-np.inf, float((day - date(1970, 1, 1)).days + 1))


def days(weeks: int = WEEKS) -> list[date]:
    """The last day of each held-out week, oldest first."""
    return [LAST - timedelta(weeks=back) for back in reversed(range(weeks))]


def new_to_the_user(split: Split) -> tuple[Split, np.ndarray]:
    """The same question about items that the user never bought, of those who bought such; and where these stand."""
    before = matrix(split.asked, split.items)[split.users] != 0
    rows = np.repeat(np.arange(len(split.users)), split.relevant.counts)
    new = ~before[rows, split.relevant.items].A1
    counts = np.bincount(rows[new], minlength=len(split.users))
    kept = counts > 0
    relevant = Relevant(np.concatenate([[0], np.cumsum(counts[kept])]), split.relevant.items[new])
    return replace(split, users=split.users[kept], relevant=relevant), kept


def few_baskets(split: Split) -> np.ndarray:
    """bool[users]: who had fewer than FEW baskets."""
    pairs = np.unique(np.stack([split.asked.users, split.asked.baskets]), axis=1)
    return np.bincount(pairs[0], minlength=len(split.asked.offsets) - 1)[split.users] < FEW


def prepare() -> Path:
    """The lake, made by the jobs of the night if it isn't there."""
    if not (LAKE / "made").exists():
        command = [sys.executable, "-m", "jobs", *TABLES, "--day", LAST.isoformat(), "--lake", str(LAKE)]
        command += ["--source", "complete_journey", "--run-id", "benchmark"]
        jars = os.environ.get("NIGHT_JARS", str(PROJECT / "var/jars"))
        settings = {"NIGHT_JARS": jars, "NIGHT_PSEUDONYM_KEY": KEY, "PYSPARK_PYTHON": sys.executable}
        subprocess.run(command, check=True, cwd=PROJECT, env={**os.environ, **settings})
        (LAKE / "made").touch()
    return LAKE


def load(lake: Path) -> Journey:
    """Purchases of ``behaviour.log`` and the catalogue of the lake's last night."""
    nights = DeltaTable(str(lake / "catalogue/items"))
    names = ["item_id", "text", "brand", "category_path"]
    items = nights.to_pyarrow_table(partitions=[("day", "=", LAST.isoformat())], columns=names).sort_by("item_id")
    ids, texts, brands, paths = (items[name].to_pylist() for name in names)
    bought = (pc.field("event_type") == "purchase") & pc.is_in(pc.field("item_id"), pa.array(ids))
    log = DeltaTable(str(lake / "behaviour/log")).to_pyarrow_dataset()
    lines = log.to_table(filter=bought, columns=["user_id", "ts", "event_id", "item_id", "amount", "basket_id"])
    lines = lines.sort_by([("user_id", "ascending"), ("ts", "ascending"), ("event_id", "ascending")])
    users = pc.unique(lines["user_id"])
    owner = pc.index_in(lines["user_id"], users).to_numpy()
    days_ = lines["ts"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy() / MICROSECONDS_A_DAY
    histories = Histories(
        np.searchsorted(owner, np.arange(len(users) + 1)),
        pc.index_in(lines["item_id"], pa.array(ids)).to_numpy().astype(np.int64),
        days_,
        lines["amount"].to_numpy(),
        pc.index_in(lines["basket_id"], pc.unique(lines["basket_id"])).to_numpy().astype(np.int64),
    )
    return Journey(users.to_pylist(), histories, Catalogue(ids, texts, brands, paths))
