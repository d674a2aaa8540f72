"""Each customer's visits: the days on which they bought, and the money of each; as rows for Spark, flat for NumPy."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

EPOCH = date(1970, 1, 1)


def number(day: date) -> int:
    """Days since 1970-01-01, as ``days`` has them."""
    return (day - EPOCH).days


def visits(totals: DataFrame, day: date) -> DataFrame:
    """One row a user of profiles.totals with a purchase up to ``day``: ``user_id`` and three arrays, oldest first.

    ``days`` (int) are days since 1970-01-01 with a purchase or a return, ``lines`` (int) their purchase lines, 0 where
    something was only brought back, and ``money`` (double) what was paid less what was given back; null where the
    source tells no amount of the day.
    """
    told = {
        "days": F.transform("visits", lambda one: F.unix_date(one["day"])),
        "lines": F.transform("visits", lambda one: one["lines"].cast("int")),
        "money": F.transform("visits", lambda one: one["money"].cast("double")),
    }
    # a clock may have been ahead of the night
    totals = totals.withColumn("visits", F.filter("visits", lambda one: one["day"] <= F.lit(day)))
    bought = totals.where(F.exists("visits", lambda one: one["lines"] > 0))
    return bought.select("user_id", *(column.alias(name) for name, column in told.items()))


@dataclass(frozen=True)
class Visits:
    """Days of n users, one after the other.

    Args:
        offsets: int64[n + 1], user i's days are ``offsets[i]`` up to ``offsets[i + 1]``.
        days: int64, days since 1970-01-01, ascending within a user.
        bought: bool, whether anything was bought that day.
        money: float64, as in :func:`visits`; NaN where unknown.
    """

    offsets: np.ndarray
    days: np.ndarray
    bought: np.ndarray
    money: np.ndarray

    @classmethod
    def of(cls, table: pa.Table | pa.RecordBatch) -> "Visits":
        """From the rows of :func:`visits`."""
        arrays = {
            name: table[name].combine_chunks() if isinstance(table, pa.Table) else table[name]
            for name in ("days", "lines", "money")
        }
        lengths = arrays["days"].value_lengths().to_numpy(zero_copy_only=False)
        days, lines, money = (each.flatten().to_numpy(zero_copy_only=False) for each in arrays.values())
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        return cls(offsets, days.astype(np.int64), lines > 0, money.astype(np.float64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def users(self) -> np.ndarray:
        """int64: of each day its user."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def where(self, kept: np.ndarray) -> "Visits":
        """The same users with the days that ``kept``, a bool of each, names."""
        counts = np.bincount(self.users[kept], minlength=len(self))
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return Visits(offsets, self.days[kept], self.bought[kept], self.money[kept])

    def upto(self, day: int) -> "Visits":
        """What was known at the end of ``day``; a user may have no day left."""
        return self.where(self.days <= day)

    def only(self, users: np.ndarray) -> "Visits":
        """The users that the bool[n] ``users`` names."""
        days = users[self.users]
        offsets = np.concatenate([[0], np.cumsum(np.diff(self.offsets)[users])])
        return Visits(offsets, self.days[days], self.bought[days], self.money[days])

    def counts(self, first: int, last: int) -> np.ndarray:
        """int64[n]: days with a purchase from ``first`` to ``last``, both included."""
        within = self.bought & (self.days >= first) & (self.days <= last)
        return np.bincount(self.users[within], minlength=len(self))

    def spent(self, first: int, last: int) -> np.ndarray:
        """float64[n]: money from ``first`` to ``last``, unknown as none, less what was returned in these days."""
        within = (self.days >= first) & (self.days <= last)
        return np.bincount(self.users[within], np.nan_to_num(self.money[within]), minlength=len(self))


@dataclass(frozen=True)
class Summary:
    """What buy-till-you-die models know of n customers, in days; see Fader, Hardie and Lee (2005).

    Args:
        repeats: x, days with a purchase after the first one.
        recency: t_x, from the first purchase to the last.
        age: T, from the first purchase to the night.
        spend: m, mean money of the repeat days less what was returned after the first day, at least 0; NaN without a
            repeat day or where an amount is unknown.
    """

    repeats: np.ndarray
    recency: np.ndarray
    age: np.ndarray
    spend: np.ndarray

    def __getitem__(self, which) -> "Summary":
        return Summary(self.repeats[which], self.recency[which], self.age[which], self.spend[which])


def summary(seen: Visits, day: int) -> Summary:
    """Of users who bought something up to ``day``, which none of ``seen`` is after."""
    bought = seen.where(seen.bought)
    first, last = bought.days[bought.offsets[:-1]], bought.days[bought.offsets[1:] - 1]
    repeats = np.diff(bought.offsets) - 1
    later = seen.days > first[seen.users]
    money = np.bincount(seen.users[later], seen.money[later], minlength=len(seen))
    with np.errstate(divide="ignore", invalid="ignore"):
        spend = np.where(repeats > 0, np.maximum(money, 0) / repeats, np.nan)
    return Summary(repeats, last - first, day - first, spend)
