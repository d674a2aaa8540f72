"""What users paid for the items that they had before, beside what a purchase of these is expected to bring."""

import numpy as np
import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.lists.blocks import Block
from jobs.ranking.values import own_spend


def past() -> tuple[Column, ...]:
    """Of a row of behaviour.histories: past, the items; paid, money of each line; and baskets, a number for each."""
    numbers = F.transform("baskets", lambda basket: F.xxhash64(basket))  # in a fifth of the room
    return F.col("item_ids").alias("past"), F.col("amounts").alias("paid"), numbers.alias("baskets")


def by_users(spend: np.ndarray, positions: np.ndarray, users: pa.RecordBatch, block: Block) -> np.ndarray:
    """float64 [n, c]: :func:`jobs.ranking.values.own_spend` of n users.

    Args:
        spend, positions: [n, c], what a purchase of each candidate is expected to bring, and where it stands in the
            block; -1 for padding.
        users: with the columns of :func:`past`; null for a user without one.
    """
    owners = np.repeat(np.arange(users.num_rows), users["past"].value_lengths().fill_null(0).to_numpy())
    paid, baskets = (users[name].flatten().to_numpy(zero_copy_only=False) for name in ("paid", "baskets"))
    return own_spend(spend, positions, owners, block.positions(users["past"].flatten()), paid, baskets)
