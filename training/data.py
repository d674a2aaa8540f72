"""What one night gives training: histories, exposures and item texts from the lake, cut in time, as arrays.

Times are days since 1970-01-01 UTC as float64; ``cut`` and ``end`` are the midnights that close the training and the
held-out period. Only an item's id, text and category are taken from the catalogue: its figures know the held-out week.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.catalogue import tag_names
from training import exposures, queries
from training.exposures import Exposures
from training.lake import open_table, read_night
from training.queries import Queries
from training.recipe import HELD_OUT_DAYS

MICROSECONDS_A_DAY = 86_400_000_000
EVENT = ("item_ids", "times", "amounts", "baskets")  # of behaviour.histories, one entry an event


@dataclass(frozen=True)
class Histories:
    """Events, oldest first: user u's are ``items[offsets[u]:offsets[u + 1]]`` (catalogue positions).

    ``amounts`` is what was paid, NaN where unknown; events of equal ``baskets`` were one purchase.
    """

    offsets: np.ndarray
    items: np.ndarray
    times: np.ndarray
    amounts: np.ndarray
    baskets: np.ndarray

    def between(self, start: float, end: float) -> "Histories":
        """The events with start <= time < end; users stay at their place, some with none left."""
        kept = (self.times >= start) & (self.times < end)
        offsets = np.concatenate([[0], np.cumsum(kept)])[self.offsets]
        return Histories(offsets, *(each[kept] for each in (self.items, self.times, self.amounts, self.baskets)))

    @property
    def users(self) -> np.ndarray:
        """The user of each event."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def purchases(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Users, items and money above 0 of what was paid for, an item once a basket whatever its lines."""
        paid = np.flatnonzero(self.amounts > 0)
        keys = np.stack([self.users[paid], self.baskets[paid], self.items[paid]])
        (users, _, items), line = np.unique(keys, axis=1, return_inverse=True)
        return users, items, np.bincount(line.ravel(), self.amounts[paid])

    def of(self, user: int) -> tuple[np.ndarray, np.ndarray]:
        """One user's items and times."""
        rows = slice(self.offsets[user], self.offsets[user + 1])
        return self.items[rows], self.times[rows]


@dataclass(frozen=True)
class Night:
    """Everything of one night.

    Args:
        day: the night.
        user_ids: position = user.
        item_ids: position = item; the first ``known`` were bought before the cut and have a vector of their own.
        texts: the distinct texts, in the order in which the items first use them, then those of the queries alone.
        text_of: position of each item's text in ``texts``.
        tags: int64[items, T] brand and categories, numbered from 1 in the order of ``tag_names``; 0 is no tag.
        paths: int64[items, levels], a number for each category with all above it, -1 below an item's last level.
        histories, exposures: of all days up to ``day``.
        queries: texts that tell about an item, known before the cut.
        versions: table name -> Delta version read.
    """

    day: date
    user_ids: list[str]
    item_ids: list[str]
    known: int
    texts: list[str]
    text_of: np.ndarray
    tags: np.ndarray
    tag_names: list[str]
    paths: np.ndarray
    histories: Histories
    exposures: Exposures
    queries: Queries
    versions: dict[str, int]

    @property
    def end(self) -> float:
        """The midnight after ``day``."""
        return float((self.day - date(1970, 1, 1)).days + 1)

    @property
    def cut(self) -> float:
        """The midnight before the held-out days: training sees only what came before it."""
        return self.end - HELD_OUT_DAYS

    @property
    def known_texts(self) -> int:
        """How many of ``texts`` belong to known items; they come first."""
        return int(self.text_of[: self.known].max()) + 1

    def described(self) -> tuple[list[str], list[list[str]]]:
        """The text and the tags' names of each item."""
        names = ["", *self.tag_names]
        tags = [[names[tag] for tag in row if tag] for row in self.tags.tolist()]
        return [self.texts[text] for text in self.text_of], tags

    def training(self) -> "Night":
        """The same night without anything that happened at or after the cut."""
        shown = self.exposures.where(self.exposures.days < self.cut)
        return replace(self, histories=self.histories.between(-np.inf, self.cut), exposures=shown)

    def fingerprint(self) -> str:
        """A hash of what training sees, so that a checkpoint is never continued on other data."""
        seen = self.training()
        digest = hashlib.sha256("\n".join([*seen.item_ids, *seen.texts]).encode())
        digest.update("\n".join(seen.tag_names).encode())
        for array in (
            seen.tags,
            seen.histories.offsets,
            seen.histories.items,
            seen.histories.times,
            seen.exposures.items,
            seen.queries.texts,
            seen.queries.items,
        ):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def load(lake: str, day: date, night: date | None = None) -> Night:
    """Read the night ``day`` from the lake at ``lake`` (a path or a URI that deltalake knows).

    With ``night``, a later one, it is read from that night's tables: what was bought, shown and written after ``day``
    is left out, and so are users who came after it; the catalogue is that of ``night``.

    Raises:
        ValueError: a table, a night of it, a column or an item's text is missing, nobody bought before the cut, or
            ``night`` is before ``day``.
    """
    night = night or day
    if night < day:
        raise ValueError(f"the night {night} can't know the day {day}, which is after it")
    names = ("behaviour.histories", "catalogue.items")
    deltas = {name: open_table(lake, name) for name in names}
    histories = read_night(deltas[names[0]], names[0], night, ["user_id", *EVENT]).sort_by("user_id")
    items = read_night(deltas[names[1]], names[1], night, ["item_id", "text", "brand", "category_path"])
    end = float((day - date(1970, 1, 1)).days + 1)
    if day < night:
        histories = _before(histories, end)
    ids, known, events = _number(histories, items, end - HELD_OUT_DAYS)
    texts, text_of = _distinct(items, ids)
    user_ids = histories["user_id"].to_pylist()
    shown, shown_version = exposures.read(lake, day, user_ids, ids)
    asked, asked_version = queries.read(lake, day, ids, night)
    place = {text: number for number, text in enumerate(texts)}
    positions = np.array([place.setdefault(text, len(place)) for text, _ in asked], np.int64)
    pairs = Queries(positions, np.array([item for _, item in asked], np.int64))
    versions = {name: delta.version() for name, delta in deltas.items()}
    optional = ((exposures.TABLE, shown_version), (queries.TABLE, asked_version))
    versions |= {name: version for name, version in optional if version is not None}
    described = (*_tags(items, ids), _paths(items, ids))
    return Night(day, user_ids, ids, known, list(place), text_of, *described, events, shown, pairs, versions)


def _days(histories: pa.Table) -> np.ndarray:
    """float64[events]: when each happened."""
    times = histories["times"].combine_chunks().flatten().cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    return times.to_numpy() / MICROSECONDS_A_DAY


def _before(histories: pa.Table, end: float) -> pa.Table:
    """Events of before the midnight ``end``, and the users who have any."""
    kept = _days(histories) < end
    lengths = pc.list_value_length(histories["times"].combine_chunks()).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(kept)])[np.concatenate([[0], np.cumsum(lengths)])]
    lists = {
        name: pa.LargeListArray.from_arrays(
            pa.array(offsets), histories[name].combine_chunks().flatten().filter(pa.array(kept))
        )
        for name in EVENT
    }
    return pa.table({"user_id": histories["user_id"], **lists}).filter(pa.array(np.diff(offsets) > 0))


def _number(histories: pa.Table, items: pa.Table, cut: float) -> tuple[list[str], int, Histories]:
    """Number the items, those bought before the cut first, and write the histories in these numbers."""
    lists = histories["item_ids"].combine_chunks()
    names = lists.flatten()
    days = _days(histories)
    catalogue = pc.unique(items["item_id"]).to_numpy(zero_copy_only=False).astype(str)
    bought = np.unique(names.filter(pa.array(days < cut)).to_numpy(zero_copy_only=False).astype(str))
    known = np.intersect1d(bought, catalogue)
    if not len(known):
        raise ValueError(
            f"behaviour.histories has no event of a catalogue item before {HELD_OUT_DAYS} days ago; "
            "training needs more days than it holds out"
        )
    ids = [*known.tolist(), *np.setdiff1d(catalogue, known).tolist()]
    numbers = pc.index_in(names, pa.array(ids)).fill_null(-1).to_numpy().astype(np.int64)
    kept = numbers >= 0  # an item that left the catalogue has no text, so no vector
    lengths = np.concatenate([[0], np.cumsum(pc.list_value_length(lists).to_numpy())])
    offsets = np.concatenate([[0], np.cumsum(kept)])[lengths]
    amounts, baskets = (histories[name].combine_chunks().flatten() for name in ("amounts", "baskets"))
    paid = amounts.fill_null(float("nan")).to_numpy()[kept]
    basket = baskets.dictionary_encode().indices.to_numpy().astype(np.int64)[kept]
    return ids, len(known), Histories(offsets, numbers[kept], days[kept], paid, basket)


def _tags(items: pa.Table, ids: list[str]) -> tuple[np.ndarray, list[str]]:
    told = zip(
        items["item_id"].to_pylist(), items["brand"].to_pylist(), items["category_path"].to_pylist(), strict=True
    )
    tags = {item: tag_names(brand, path) for item, brand, path in told}
    names = sorted({tag for item in ids for tag in tags[item]})
    number = {tag: place for place, tag in enumerate(names, start=1)}
    numbers = [[number[tag] for tag in tags[item]] for item in ids]
    width = max(1, max(map(len, numbers)))
    return np.array([row + [0] * (width - len(row)) for row in numbers], dtype=np.int64), names


def _paths(items: pa.Table, ids: list[str]) -> np.ndarray:
    path = dict(zip(items["item_id"].to_pylist(), items["category_path"].to_pylist(), strict=True))
    codes: dict[tuple[str, ...], int] = {}
    paths = np.full((len(ids), max((len(each) for each in path.values()), default=0)), -1, dtype=np.int64)
    for row, item in enumerate(ids):
        for level in range(len(path[item])):
            paths[row, level] = codes.setdefault(tuple(path[item][: level + 1]), len(codes))
    return paths


def _distinct(items: pa.Table, ids: list[str]) -> tuple[list[str], np.ndarray]:
    nameless = items.filter(pc.is_null(items["text"]))
    if len(nameless):
        raise ValueError(
            f"catalogue.items: column text is null for item_id {nameless['item_id'][0].as_py()!r} "
            f"({len(nameless)} in all); the language model needs a text, if only an empty one"
        )
    text = dict(zip(items["item_id"].to_pylist(), items["text"].to_pylist(), strict=True))
    position: dict[str, int] = {}
    text_of = np.array([position.setdefault(text[item], len(position)) for item in ids], dtype=np.int64)
    return list(position), text_of
