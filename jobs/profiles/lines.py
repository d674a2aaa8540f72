"""What is new of users and what was known of them, as flat arrays: rows of Spark on their way into NumPy."""

import numpy as np
import pyarrow as pa

from jobs.profiles.grouped import numbers, opened, unscaled

PURCHASE, RETURN, INTEREST, OTHER = 1, 2, 3, 0  # kinds of lines
CENTS = 1e4  # what money is counted in: integers add up to the same in any order
LARGEST = 1e12  # money of one line
LISTS = ("baskets", "visits", "recent", "items", "prices")


class Lines:
    """What is new, as flat arrays: numbers of users rise."""

    def __init__(self, columns: dict[str, pa.Array], owner: np.ndarray):
        self.owner, self.item_id = owner, columns["item_id"]
        self.item = np.zeros(0, np.int64)  # the place of item_id in all names
        self.kind, self.day, self.arrived, self.ts, self.basket = (
            numbers(columns[name]).astype(np.int64) for name in ("kind", "day", "arrived", "ts", "basket")
        )
        (self.paid, self.is_paid), (self.off, is_off) = (_cents(columns[name]) for name in ("paid", "off"))
        self.price = numbers(columns["price"])
        self.bought = self.kind == PURCHASE
        self.told = self.bought & self.is_paid & is_off


class Held:
    """What was known before, as flat arrays."""

    of_items = ("recent", "items", "prices")

    def __init__(self, columns: dict[str, pa.Array], owner: np.ndarray):
        self.owner, self.columns = owner, columns
        self.item: dict[str, np.ndarray] = {}  # by list, the place of each item_id in all names
        self.owners, self.fields = {}, {}
        for name in LISTS:
            places, self.fields[name] = opened(columns[name])
            self.owners[name] = owner[places]

    def of(self, name: str, field: str) -> np.ndarray:
        """int64 [e]: a field of a list, decimals unscaled."""
        values = self.fields[name][field]
        return unscaled(values) if pa.types.is_decimal(values.type) else numbers(values).astype(np.int64)


def _cents(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """int64 in 1 / CENTS of money, and bool, whether it is told: what is no number isn't.

    Raises:
        OverflowError: if sums of such amounts wouldn't fit.
    """
    plain = numbers(values, np.nan)
    there = ~np.isnan(plain)
    told = np.where(there, plain, 0.0)
    if len(told) and np.abs(told).max() > LARGEST:
        raise OverflowError(f"behaviour.log: an amount of {told[np.abs(told).argmax()]} is too large to be added up")
    return np.rint(told * CENTS).astype(np.int64), there
