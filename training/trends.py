"""What an item sells: of late, in counts that halve in two days, a week and a month; and how often to the same user.

Training counts it at the midnights that it asks about; a night's ``catalogue.trends`` holds the same at its end.
"""

import numpy as np
from scipy.sparse import csr_matrix

from schemas.catalogue import SURELY_AGAIN, TREND_HALF_LIVES, TREND_PRIOR, USUALLY_AGAIN
from training.data import Night
from training.warm_start import popularity

WEEK = 7.0
SALES = len(TREND_HALF_LIVES) + 1  # what is counted of an item: its trend, and how often it is bought again


def sales(night: Night, until: float) -> np.ndarray:
    """float32[items, SALES] of the whole catalogue, as was known at ``until``: trend and ``bought_again``."""
    return np.column_stack([trend(night, until), bought_again(night, until)])


def trend(night: Night, until: float) -> np.ndarray:
    """float32[items, 3]: logarithms of the counts before ``until``, above that of an item nobody bought."""
    counts = np.stack([popularity(night, until, each) for each in TREND_HALF_LIVES], axis=-1)
    return np.log1p(counts / TREND_PRIOR).astype(np.float32)


def bought_again(night: Night, until: float) -> np.ndarray:
    """float32[items]: logarithm of the share of weeks, after a user's first purchase of the item, with another one.

    Weeks are counted back from ``until``; of few weeks the share is drawn towards ``USUALLY_AGAIN``.
    """
    seen = night.histories.between(-np.inf, until)
    weeks = np.floor((until - seen.times) / WEEK).astype(np.int64)
    pairs, place = np.unique(np.stack([seen.users, seen.items]), axis=1, return_inverse=True)
    place = place.ravel()
    first = np.zeros(pairs.shape[1], np.int64)
    np.maximum.at(first, place, weeks)
    other = np.unique(np.stack([place, weeks])[:, weeks < first[place]], axis=1)[0]
    again = np.bincount(other, minlength=pairs.shape[1])
    rebought, passed = (np.bincount(pairs[1], each, minlength=len(night.item_ids)) for each in (again, first))
    return np.log((rebought + USUALLY_AGAIN * SURELY_AGAIN) / (passed + SURELY_AGAIN)).astype(np.float32)


class Trends:
    """The same at the midnights from ``since`` on: a query knows what sold before it, and nothing of after.

    Kept are the counts at ``since`` and what each later day adds to an item, so that a few items at a few midnights
    cost little.
    """

    def __init__(self, night: Night, since: float):
        self.since, self.known = since, night.known
        self.start = np.stack([popularity(night, since, each)[: night.known] for each in TREND_HALF_LIVES], axis=-1)
        later = night.histories.between(since, night.cut)
        known = later.items < night.known
        items, times = later.items[known], later.times[known]
        days = np.floor(times - since).astype(np.int64)
        self.length = int(np.ceil(night.cut - since))
        shape = (night.known, max(self.length, 1))
        left = days + 1 - (times - since)  # of the day on which it was bought
        self.added = [csr_matrix((0.5 ** (left / each), (items, days)), shape) for each in TREND_HALF_LIVES]

    def at(self, items: np.ndarray, midnights: np.ndarray) -> np.ndarray:
        """float32[midnights, items, 3] as :func:`trend` has them, 0 of items that are not known."""
        found = np.zeros((len(midnights), len(items), len(TREND_HALF_LIVES)), np.float32)
        inside = np.flatnonzero(items < self.known)
        days = midnights - self.since
        for place, (half_life, added) in enumerate(zip(TREND_HALF_LIVES, self.added, strict=True)):
            age = days[None, :] - np.arange(added.shape[1])[:, None] - 1
            decay = np.where(age >= 0, 0.5 ** (np.maximum(age, 0) / half_life), 0.0)
            counts = added[items[inside]] @ decay
            counts += self.start[items[inside], place][:, None] * 0.5 ** (days / half_life)
            found[:, inside, place] = np.log1p(counts.T / TREND_PRIOR)
        return found
