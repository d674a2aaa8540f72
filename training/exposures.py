"""What people were shown, and what they did with it."""

import zlib
from dataclasses import dataclass, fields
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from training.lake import open_table, table_uri

TABLE = "behaviour.exposures"
LEFT_OUT = 10  # one user in so many, whose exposures no head learns from: probabilities are corrected by them


@dataclass(frozen=True)
class Exposures:
    """Items people could see, sorted by user and day; all arrays have one entry a row.

    ``clicked`` and ``bought`` are 0 or 1, ``clicked`` NaN where the source logs no clicks; ``weights`` undo sampling.
    """

    users: np.ndarray
    days: np.ndarray
    items: np.ndarray
    clicked: np.ndarray
    bought: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.users)

    def where(self, kept: np.ndarray) -> "Exposures":
        """The rows for which bool[rows] ``kept`` is true."""
        return Exposures(*(getattr(self, field.name)[kept] for field in fields(self)))


def nothing() -> Exposures:
    """No row."""
    whole, real = np.zeros(0, np.int64), np.zeros(0, np.float32)
    return Exposures(whole, whole.astype(np.float64), whole, real, real, real)


def left_out(user_ids: list[str]) -> np.ndarray:
    """bool[users]: whose exposures are kept from the heads, always the same users."""
    return np.array([zlib.crc32(user.encode()) % LEFT_OUT == 0 for user in user_ids], bool)


def read(lake: str, day: date, users: list[str], items: list[str]) -> tuple[Exposures, int | None]:
    """Exposures of all nights up to ``day``, and the table's Delta version; none where the lake has no such table."""
    if not DeltaTable.is_deltatable(table_uri(lake, TABLE)):
        return nothing(), None
    delta = open_table(lake, TABLE)
    there = {field.name for field in delta.schema().fields}
    names = ["user_id", "day", "item_id", "bought", "weight", *({"clicked"} & there)]  # lakes of before lack it
    rows = delta.to_pyarrow_table(filters=[("day", "<=", day)], columns=names)
    user, item = (
        pc.index_in(rows[name], pa.array(ids, pa.string())).fill_null(-1).to_numpy().astype(np.int64)
        for name, ids in (("user_id", users), ("item_id", items))
    )
    when = rows["day"].cast("int32").to_numpy().astype(np.float64)
    bought, weight = (rows[name].to_numpy().astype(np.float32) for name in ("bought", "weight"))
    clicked = np.full(len(rows), np.nan, np.float32)
    if "clicked" in names:
        clicked = rows["clicked"].cast("float32").fill_null(float("nan")).to_numpy()
    order = np.lexsort((item, when, user))
    order = order[(user[order] >= 0) & (item[order] >= 0)]
    return Exposures(user, when, item, clicked, bought, weight).where(order), delta.version()
