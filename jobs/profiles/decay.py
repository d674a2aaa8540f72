"""What purchase lines weigh as they grow old, to the same bits whichever nights they were added up in."""

from functools import lru_cache

import numpy as np

from schemas.profiles import HALF_LIVES

KEPT = 1 << 14  # days whose weights are worked out once
NEVER = -(1 << 40)


def settle(
    weights: np.ndarray, settled: np.ndarray, place: np.ndarray, settles: np.ndarray, day: np.ndarray, lines: np.ndarray
) -> None:
    """Adds what settles to sums of weights, in place: of each sum one line after the other, in the order given.

    Args:
        weights: float64 [half-lives, p], what p sums weighed on the day ``settled``.
        settled: int64 [p], days since 1970-01-01; NEVER of a sum of nothing.
        place: int64 [e], rising: the sum that each entry belongs to.
        settles, day, lines: int64 [e], when it settles, when it was, and how many lines; of a sum not before the last.
    """
    entries = np.bincount(place, minlength=len(settled))
    first, live, nth = np.cumsum(entries) - entries, np.flatnonzero(entries), 0
    while len(live):
        entry = first[live] + nth
        passed = np.where(settled[live] == NEVER, 0, settles[entry] - settled[live])
        age = settles[entry] - day[entry]
        for row, half_life in zip(weights, HALF_LIVES, strict=True):
            row[live] = row[live] * decayed(passed, half_life) + lines[entry] * decayed(age, half_life)
        settled[live] = settles[entry]
        nth += 1
        live = live[entries[live] > nth]


def decayed(days: np.ndarray, half_life: int) -> np.ndarray:
    """float64: what one line weighs after ``days``, an int64 of any shape.

    From a table: NumPy's own powers may differ in the last bit with where a number stands in an array.
    """
    if not days.size:
        return np.zeros(days.shape)
    least, most = int(days.min()), int(days.max())
    if least >= 0 and most < KEPT:
        return _weights(half_life)[days]
    each, places = np.unique(days, return_inverse=True)
    return np.array([2.0 ** (-day / half_life) for day in each.tolist()])[places].reshape(days.shape)


@lru_cache
def _weights(half_life: int) -> np.ndarray:
    return np.array([2.0 ** (-day / half_life) for day in range(KEPT)])
