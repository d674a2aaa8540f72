"""What each user likes: favourite categories and brands of the long run and of the last days, variety, price level."""

from dataclasses import dataclass
from math import log

import numpy as np
import pyarrow as pa

from jobs.profiles.decay import decayed
from jobs.profiles.goods import Goods
from jobs.profiles.grouped import Groups, numbers, opened, ratio, summed
from schemas.profiles import HALF_LIFE, HALF_LIVES

FAVOURITES = 10
SAMPLE = 2_000  # users that the half-life is fitted to: what that costs doesn't grow with the shop
FEWEST = 1_000  # lines of theirs in the last week; fewer tell nothing
DOUBT = 0.05  # share of a forecast that is spread over all categories alike
EXACT = 1e9  # what weights are counted in: integers add up to the same in any order, and equal ones tie
MADE = {"price_level": pa.float64(), "half_life_days": pa.int32(), "variety": pa.float64()} | {
    name: pa.map_(pa.string(), pa.float64()) for name in ("categories", "brands", "intent")
}


@dataclass(frozen=True)
class Taken:
    """What n users took or looked at, an item of the catalogue each entry.

    Args:
        users: n.
        owner: int64 [e], rising within what settled and within what is recent.
        place: int64 [e], of the item in the catalogue.
        lines, looks: int64 [e].
        late: bool [e], whether it is of the last days.
        weights: int64 [half-lives, e], what the lines weigh tonight, in units of 1 / EXACT.
    """

    users: int
    owner: np.ndarray
    place: np.ndarray
    lines: np.ndarray
    looks: np.ndarray
    late: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, table: pa.Table | pa.RecordBatch, goods: Goods, night: int, half_lives=HALF_LIVES) -> "Taken":
        """Of ``items`` and ``recent`` of profiles.totals.

        Args:
            night: days since 1970-01-01.
            half_lives: those that are asked for.
        """
        held_by, held = opened(_array(table["items"]))
        come_by, come = opened(_array(table["recent"]))
        place = np.concatenate([goods.places(each["item_id"]) for each in (held, come)])
        lines = np.concatenate([numbers(each["lines"]) for each in (held, come)])
        looks = np.concatenate([np.zeros(len(held_by), np.int64), numbers(come["looks"])])
        then = numbers(held["weights"].flatten()).reshape(-1, len(HALF_LIVES)).T
        passed, age = (night - numbers(each).astype(np.int64) for each in (held["settled"], come["day"]))
        recent = numbers(come["lines"])
        weights = [
            np.concatenate([then[HALF_LIVES.index(each)] * decayed(passed, each), recent * decayed(age, each)])
            for each in half_lives
        ]
        late = np.arange(len(place)) >= len(held_by)
        known = place >= 0
        told = (np.concatenate([held_by, come_by]), place, lines, looks, late)
        exact = np.rint(np.stack(weights) * EXACT).astype(np.int64)
        return cls(len(table), *(each[known] for each in told), exact[:, known])


def half_life(sample: pa.Table, goods: Goods, night: int) -> int:
    """The half-life by which the shares of a week ago foretell the last week's categories best.

    Best is the largest log-likelihood of the week's purchase lines, a share DOUBT of each forecast being spread over
    all categories alike; the usual half-life where none is better, or too little was bought to tell.

    Args:
        sample: rows of profiles.totals, of a few users.
        goods, night: as of :meth:`Taken.of`.
    """
    taken = Taken.of(sample, goods, night)
    named = goods.category[taken.place] >= 0
    groups = Groups(taken.owner[named], goods.category[taken.place][named])
    late = taken.late[named]
    then = np.stack([groups.sum(np.where(late, 0, each)) for each in taken.weights[:, named]])
    bought = groups.sum(np.where(late, taken.lines[named], 0))
    everything = np.stack([summed(groups.keys[0], each, taken.users) for each in then])[:, groups.keys[0]]
    told = (bought > 0) & (everything[HALF_LIVES.index(max(HALF_LIVES))] > 0)
    if bought[told].sum() < FEWEST:
        return HALF_LIFE
    even = 1 / goods.kinds
    share = np.divide(then, everything, out=np.full(then.shape, even), where=everything > 0)[:, told]
    likely = (np.log((1 - DOUBT) * share + DOUBT * even) * bought[told]).sum(axis=1)
    return max(HALF_LIVES, key=lambda each: (round(likely[HALF_LIVES.index(each)], 9), each == HALF_LIFE, each))


def tastes(taken: Taken, goods: Goods, chosen: int) -> dict[str, pa.Array]:
    """Columns of profiles.users by name, as :data:`MADE` has them, a value each user.

    Args:
        taken: with the weights of one half-life.
        chosen: that half-life in days.
    """
    ranks = goods.rank[taken.place]
    ranked = ~np.isnan(ranks)
    owner, lines = taken.owner[ranked], taken.lines[ranked]
    count = np.bincount(owner, lines, taken.users)
    level = np.bincount(owner, ranks[ranked] * lines, taken.users)
    named = (goods.category[taken.place] >= 0) | (goods.brand[taken.place] >= 0)
    anything = np.bincount(taken.owner[named], minlength=taken.users) > 0
    interest = np.where(taken.late, taken.lines + taken.looks, 0)
    categories = _Shares(taken, goods.category, taken.weights[0])
    return {
        "price_level": ratio(level, count),
        "half_life_days": pa.array(np.full(taken.users, chosen, np.int32), mask=~anything),
        "variety": pa.array(categories.variety(goods.kinds), from_pandas=True),
        "categories": categories.largest(goods.categories),
        "brands": _Shares(taken, goods.brand, taken.weights[0]).largest(goods.brands),
        "intent": _Shares(taken, goods.category, interest).largest(goods.categories),
    }


class _Shares:
    """Each user's names with their shares of some integers, largest first, ties by name."""

    def __init__(self, taken: Taken, name: np.ndarray, amounts: np.ndarray):
        there = (name[taken.place] >= 0) & (amounts > 0)
        groups = Groups(taken.owner[there], name[taken.place[there]])
        owner, names = groups.keys
        amount = groups.sum(amounts[there])
        order = np.lexsort((names, -amount, owner))
        self.users, self.owner, self.name = taken.users, owner[order], names[order]
        total = summed(owner, amount, taken.users)
        self.share = amount[order] / total[self.owner]

    def largest(self, names: pa.StringArray) -> pa.MapArray:
        """The first :data:`FAVOURITES`."""
        begins = np.searchsorted(self.owner, self.owner)
        few = np.arange(len(self.owner)) - begins < FAVOURITES
        counts = np.bincount(self.owner[few], minlength=self.users)
        offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
        return pa.MapArray.from_arrays(offsets, names.take(pa.array(self.name[few])), pa.array(self.share[few]))

    def variety(self, kinds: int) -> np.ndarray:
        """float64 [n]: Shannon's entropy of all shares / its maximum; NaN without a share, or of one kind alone."""
        if kinds < 2:
            return np.full(self.users, np.nan)
        entropy = np.bincount(self.owner, -self.share * np.log(self.share), self.users)
        some = np.bincount(self.owner, minlength=self.users) > 0
        return np.where(some, np.minimum(entropy / log(kinds), 1.0), np.nan)


def _array(lists: pa.ChunkedArray | pa.Array) -> pa.Array:
    return lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
