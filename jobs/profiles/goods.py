"""The catalogue as arrays, by which what users took is read in NumPy."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from jobs.catalogue.items import UNKNOWN
from jobs.profiles.grouped import coded


@dataclass(frozen=True)
class Goods:
    """Items of one night, by item_id.

    Args:
        items: string [i], sorted.
        categories, brands: string, the different names, sorted.
        category, brand: int64 [i], places in these names; -1 for none.
        rank: float64 [i], percent rank of the price among the priced items of the category, 0 the cheapest; NaN without
            price, category or another priced item.
        kinds: number of categories.
    """

    items: pa.StringArray
    categories: pa.StringArray
    brands: pa.StringArray
    category: np.ndarray
    brand: np.ndarray
    rank: np.ndarray
    kinds: int

    @classmethod
    def of(cls, items: DataFrame) -> "Goods":
        """Of catalogue.items of a night, all of which comes to the driver: its ids, names and prices."""
        table = items.select("item_id", "category", "brand", "price").toArrow().combine_chunks().sort_by("item_id")
        categories, (category,) = coded(table["category"].combine_chunks())
        brands, (brand,) = coded(table["brand"].combine_chunks())
        unknown = pc.index(categories, UNKNOWN).as_py()
        named = np.where(category == unknown, -1, category)
        price = table["price"].fill_null(np.nan).to_numpy()
        kinds = len(categories) - (unknown >= 0)
        ids = table["item_id"].combine_chunks()
        return cls(ids, categories, brands, named, brand, _ranks(named, price), kinds)

    def places(self, item_id: pa.Array) -> np.ndarray:
        """int64 [n]: where each item stands in ``items``; -1 of one that the catalogue doesn't have."""
        return pc.index_in(item_id, value_set=self.items).fill_null(-1).to_numpy().astype(np.int64)


def _ranks(category: np.ndarray, price: np.ndarray) -> np.ndarray:
    priced = np.flatnonzero((category >= 0) & ~np.isnan(price))
    order = priced[np.lexsort((price[priced], category[priced]))]
    group, paid = category[order], price[order]
    begins, count = np.unique(group, return_index=True, return_counts=True)[1:]
    size, start = (np.repeat(each, count) for each in (count, begins))
    new = np.ones(len(order), bool)
    new[1:] = (group[1:] != group[:-1]) | (paid[1:] != paid[:-1])
    first = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))  # of those that cost the same
    ranks = np.full(len(category), np.nan)
    ranks[order] = np.where(size > 1, (first - start) / np.maximum(size - 1, 1), np.nan)
    return ranks
