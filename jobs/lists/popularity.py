"""What sells to whom, for users of whom the model knows nothing."""

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.lists.blocks import Block

NIGHTS = 28
# a group's own taste outweighs everybody's from this many of its shoppers on
PRIOR = 20.0
# attributes that make a group, the first that is known counts, each with the words a shopper reads
GROUPS = {"age": "aged", "income": "with an income of"}


def group(attributes: str) -> Column:
    """A user's group in words, such as "aged 35-44"; null where the shop knows none of :data:`GROUPS`."""
    return F.coalesce(*(F.concat(F.lit(f"{words} "), F.col(attributes)[key]) for key, words in GROUPS.items()))


@dataclass(frozen=True)
class Popularity:
    """Users with each item of a block in their history of the last :data:`NIGHTS` nights.

    A history holds purchases, or what the user looked at if they never bought; buyers are the users of the first kind.

    Args:
        columns: the column of each group; the last column is everybody.
        shoppers: int64 [items, groups + 1].
        buyers: int64 [items, groups + 1].
        histories: users with a history of any age.
    """

    columns: dict[str, int]
    shoppers: np.ndarray
    buyers: np.ndarray
    histories: int

    @classmethod
    def pull(cls, histories: DataFrame, who: DataFrame, block: Block, day: date) -> "Popularity":
        """Counts in Spark and collects one row an item and group; ``who`` is of :func:`jobs.lists.asking.asking`."""
        first = day - timedelta(days=NIGHTS - 1)
        events = histories.select("user_id", F.explode(F.arrays_zip("item_ids", "times")).alias("event"))
        recent = events.where(F.to_date("event.times") >= F.lit(first))
        pairs = recent.select("user_id", F.col("event.item_ids").alias("item_id")).distinct()
        counts = (
            pairs.join(who.select("user_id", "group", "buys"), "user_id", how="inner")
            .groupBy("group", "item_id")
            .agg(F.count("*").alias("shoppers"), F.count_if("buys").alias("buyers"))
            .toArrow()
        )
        return cls._of(counts, block, histories.count())

    @classmethod
    def _of(cls, counts: pa.Table, block: Block, histories: int) -> "Popularity":
        places = block.positions(counts["item_id"].combine_chunks())
        counts, places = counts.filter(pa.array(places >= 0)), places[places >= 0]
        names = counts["group"].to_pylist()
        columns = {name: column for column, name in enumerate(sorted({name for name in names if name is not None}))}
        shape = (len(block.ids), len(columns) + 1)
        # users of no group stand in the last column alone, which becomes everybody's
        at = (places, [columns.get(name, len(columns)) for name in names])
        made = {"shoppers": np.zeros(shape, np.int64), "buyers": np.zeros(shape, np.int64)}
        for name, table in made.items():
            table[at] = counts[name].to_numpy()
            table[:, -1] = table.sum(axis=1)
        return cls(columns, **made, histories=histories)

    def only(self, kept: np.ndarray) -> "Popularity":
        """Of the items where ``kept``, bool [items], is true."""
        return replace(self, shoppers=self.shoppers[kept], buyers=self.buyers[kept])

    def column(self, name: str | None) -> int:
        """The column of a group; everybody's for a group without a purchase, and for None."""
        return self.columns.get(name, len(self.columns))

    def items(self) -> np.ndarray:
        """float32 [items, groups + 1]: its inner product with a row of :meth:`users` is the item's popularity.

        popularity = the group's shoppers + PRIOR x share of all histories that hold the item: the posterior mean of the
        group's rate, times a constant of the group, under a prior worth PRIOR shoppers at everybody's rate.
        """
        values = self.shoppers.astype(np.float32)
        values[:, -1] *= PRIOR / max(self.histories, 1)
        return values

    def users(self, groups: list[str | None]) -> np.ndarray:
        """float32 [n, groups + 1]: 1 for the user's group, and 1 for everybody."""
        values = np.zeros((len(groups), len(self.columns) + 1), np.float32)
        values[np.arange(len(groups)), [self.column(name) for name in groups]] = 1
        values[:, -1] = 1
        return values
