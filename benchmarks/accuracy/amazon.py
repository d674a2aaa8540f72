"""Amazon 2014 5-core, leave-one-out: the last event of each user is asked for, the one before it is for validation."""

import csv
import gzip
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.accuracy.protocol import Split
from training.data import Histories
from training.metrics import Relevant

FILES = {
    "beauty": ("Beauty", "Beauty_titles.csv", "title"),
    "sports": ("Sports_and_Outdoors", "Sports_and_Outdoors_keywords.csv", "keywords"),
}
SECONDS_A_DAY = 86_400
MILLISECOND = 1e-3 / SECONDS_A_DAY  # in days


@dataclass(frozen=True)
class Dataset:
    """A file's users in its own order.

    Args:
        items, times: one array a user, oldest first: item positions, and days since the user's first event.
        texts: of each item; empty for the few without.
        attributes: of each item, anonymous categories and brands as the file numbers them.
    """

    items: list[np.ndarray]
    times: list[np.ndarray]
    texts: list[str]
    attributes: list[list[str]]

    def shuffled(self, seed: int) -> "Dataset":
        """Events of one day in a random order: the file's own, by item, tells what comes last."""
        rng = np.random.default_rng(seed)
        order = [np.lexsort((rng.random(len(times)), times)) for times in self.times]
        items = [mine[place] for mine, place in zip(self.items, order, strict=True)]
        return Dataset(items, self.times, self.texts, self.attributes)

    def first(self, users: int) -> "Dataset":
        """Of the first users only; all items stay."""
        return Dataset(self.items[:users], self.times[:users], self.texts, self.attributes)

    def split(self) -> Split:
        """Trained on all but the last two events, asked after all but the last."""
        last = np.array([items[-1] for items in self.items])
        relevant = Relevant(np.arange(len(last) + 1), last)
        train, asked = self.histories(2), self.histories(1)
        return Split(train, asked, len(self.texts), float(asked.times.max()), np.arange(len(last)), relevant)

    def dated(self, cut: float) -> Histories:
        """All but the last event of each user, the one for validation at ``cut``, what came before it before ``cut``.

        The order stays the file's: events of one day are a millisecond apart.
        """
        asked = self.histories(1)
        last = asked.offsets[1:] - 1
        behind = np.repeat(last, np.diff(asked.offsets)) - np.arange(len(asked.items))
        since = np.repeat(asked.times[last], np.diff(asked.offsets)) - asked.times
        return replace(asked, times=cut - since - behind * MILLISECOND)

    def histories(self, without: int) -> Histories:
        """All but the last ``without`` events; days count from one user's first event, as dates are unknown."""
        items, times = ([each[:-without] for each in arrays] for arrays in (self.items, self.times))
        offsets = np.concatenate([[0], np.cumsum([len(each) for each in items])])
        unpaid = np.full(offsets[-1], np.nan)
        return Histories(offsets, np.concatenate(items), np.concatenate(times), unpaid, np.arange(offsets[-1]))


def load(folder: Path, name: str) -> Dataset:
    """Read ``beauty`` or ``sports``.

    Raises:
        FileNotFoundError: the folder doesn't hold them.
    """
    stem, texts_file, column = FILES[name]
    if not (folder / f"{stem}_gaps.txt.gz").exists():
        raise FileNotFoundError(f"{folder} has no {stem}_gaps.txt.gz: put the Amazon 5-core files of the peers there")
    items, times = [], []
    with gzip.open(folder / f"{stem}_gaps.txt.gz", "rt") as lines:
        for line in lines:
            events, gaps = line.split("\t")
            items.append(np.array(events.split()[1:], dtype=np.int64) - 1)
            times.append(np.cumsum(np.array(gaps.split(), dtype=np.float64)) / SECONDS_A_DAY)
    count = int(max(each.max() for each in items)) + 1
    told = json.loads((folder / f"{stem}_item2attributes.json").read_text())
    attributes = [[str(code) for code in told.get(str(item + 1), [])] for item in range(count)]
    texts = [""] * count
    with open(folder / texts_file, encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            texts[int(row["s3_id"]) - 1] = row[column]
    return Dataset(items, times, texts, attributes)
