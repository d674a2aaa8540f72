"""Texts that tell about items without being their own: what people typed or wrote before they chose one."""

import zlib
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from deltalake import DeltaTable

from training.lake import open_table, read_night, table_uri
from training.recipe import HELD_OUT_DAYS

TABLE = "catalogue.texts"
KINDS = ("search", "review", "description")
MOST = 4096  # of a night, for the language model reads all of them whenever it reads the items' texts


@dataclass(frozen=True)
class Queries:
    """Pairs: int64[P] positions in the night's texts, and int64[P] items that these tell about."""

    texts: np.ndarray
    items: np.ndarray


def read(lake: str, day: date, items: list[str], night: date | None = None) -> tuple[list[tuple[str, int]], int | None]:
    """At most MOST pairs of a text and an item's position, known before the held-out days, and the Delta version.

    The same ones every night as far as they are still there. None where the lake has no such table. Texts are those of
    the night ``night``, or of ``day``.
    """
    if not DeltaTable.is_deltatable(table_uri(lake, TABLE)):
        return [], None
    delta = open_table(lake, TABLE)
    place = {item: number for number, item in enumerate(items)}
    cut = day + timedelta(days=1 - HELD_OUT_DAYS)
    rows = read_night(delta, TABLE, night or day, ["text_id", "kind", "text", "item_id", "since"]).to_pylist()
    told = [row for row in rows if row["kind"] in KINDS and row["since"] < cut and row["item_id"] in place]
    told.sort(key=lambda row: (zlib.crc32(row["text_id"].encode()), row["text_id"]))
    return [(row["text"], place[row["item_id"]]) for row in told[:MOST]], delta.version()
