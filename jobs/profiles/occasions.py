"""When each user comes, how often, and for how much: what profiles.users tells of baskets and visits."""

import numpy as np
import pyarrow as pa

from jobs.profiles.grouped import Groups, dated, known, numbers, opened, ratio, summed, unscaled
from jobs.profiles.lines import CENTS
from schemas.profiles import PARTS_OF_DAY, RECENT, WEEKDAYS

DAY, THURSDAY = 86_400_000_000, 3  # microseconds; the weekday of 1970-01-01, Monday being 0
SHARES = pa.map_(pa.string(), pa.float64())
MADE = {
    "baskets": pa.int64(),
    "recent_baskets": pa.int64(),
    "last_purchase": pa.date32(),
    "spent": pa.float64(),
    "discount_share": pa.float64(),
    "parts_of_day": SHARES,
    "weekdays": SHARES,
    "cadence_days": pa.float64(),
}


def occasions(batch: pa.RecordBatch, night: int) -> dict[str, pa.Array]:
    """Columns as :data:`MADE` has them, a value each row.

    Args:
        batch: rows of profiles.totals.
        night: days since 1970-01-01.
    """
    users, since = len(batch), night - RECENT
    owner, fields = opened(batch["baskets"])
    began, last = (numbers(fields[name]).astype(np.int64) for name in ("began", "last"))
    began_on = began // DAY
    count = np.bincount(owner, minlength=users)
    latest = np.full(users, np.iinfo(np.int32).min, np.int64)
    np.maximum.at(latest, owner, last)
    part = (began - began_on * DAY) * len(PARTS_OF_DAY) // DAY
    return {
        "baskets": pa.array(count),
        "recent_baskets": pa.array(np.bincount(owner[last > since], minlength=users)),
        "last_purchase": dated(latest, count > 0),
        "spent": pa.array(_spent(batch, since)),
        "discount_share": ratio(*(unscaled(batch[name]) for name in ("discount", "shelf"))),
        "parts_of_day": _shares(owner, part, PARTS_OF_DAY, users),
        "weekdays": _shares(owner, (began_on + THURSDAY) % len(WEEKDAYS), WEEKDAYS, users),
        "cadence_days": _cadence(owner, began_on, users),
    }


def _spent(batch: pa.RecordBatch, since: int) -> np.ndarray:
    owner, fields = opened(batch["visits"])
    late = known(fields["money"]) & (numbers(fields["day"]) > since)
    return summed(owner[late], unscaled(fields["money"])[late], len(batch)) / CENTS


def _cadence(owner: np.ndarray, day: np.ndarray, users: int) -> pa.Array:
    """The median of the days between days with a basket; null of one."""
    owner, day = Groups(owner, day).keys
    mine = owner[1:] == owner[:-1]
    of, gap = owner[1:][mine], np.diff(day)[mine]
    gap = gap[np.lexsort((gap, of))]
    count = np.bincount(of, minlength=users)
    some = np.flatnonzero(count)
    first = (np.cumsum(count) - count)[some]
    cadence = np.zeros(users)
    cadence[some] = (gap[first + (count[some] - 1) // 2] + gap[first + count[some] // 2]) / 2
    return pa.array(cadence, mask=count == 0)


def _shares(owner: np.ndarray, place: np.ndarray, names: tuple[str, ...], users: int) -> pa.MapArray:
    """Of places in ``names``: each name that occurs, in their order, with its share of the user's."""
    counts = np.bincount(owner * len(names) + place, minlength=users * len(names)).reshape(users, len(names))
    row, column = np.nonzero(counts)
    offsets = pa.array(np.concatenate([[0], np.cumsum((counts > 0).sum(axis=1))]), pa.int32())
    share = counts[row, column] / counts.sum(axis=1)[row]
    return pa.MapArray.from_arrays(offsets, pa.array(names).take(pa.array(column)), pa.array(share))
