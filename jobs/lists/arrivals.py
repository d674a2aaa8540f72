"""Items on sale that nobody had bought when the model was trained: who may like them, by what they say they are.

The model places such an item by its text, brand and categories alone, among items that have told more about themselves
in years of sales, and so far down that hardly anybody is offered it. Here it is compared with what a user bought.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.lists.blocks import Block
from jobs.lists.scorer import manifest
from jobs.ranking.blend import unit

OFFERED = 8  # of a user's candidates
MOST = 2000  # arrivals that are compared, the latest
STEEP = 40.0  # of the kernel exp(STEEP x (cosine - 1)): a cosine of 0.9 counts 2 %
AT_ONCE = 4096  # items whose kernels lie in memory together


@dataclass(frozen=True)
class Arrivals:
    """A surface's arrivals beside all items that somebody may have bought.

    Args:
        bought: every item with a vector, for the items of histories.
        units: float32 [items, d], what each of them says it is, of unit length or zero.
        own: int64 [a], the arrivals among them.
        places: int64 [a], the arrivals among the surface's items.
        sold: float64 [a]: the sum, over all items, of log(1 + users who bought it) x kernel.
    """

    bought: Block
    units: np.ndarray
    own: np.ndarray
    places: np.ndarray
    sold: np.ndarray

    @classmethod
    def of(cls, bought: Block, buyers: np.ndarray, floor: Block, folder: str) -> "Arrivals":
        """Of the export in ``folder``, whose items had been bought when it was trained; see :meth:`beside`."""
        known = pa.array(json.loads((Path(folder) / "items.json").read_text()), pa.string())
        return cls.beside(bought, buyers, floor, known, manifest(folder)["text_dim"])

    @classmethod
    def beside(cls, bought: Block, buyers: np.ndarray, floor: Block, known: pa.Array, width: int) -> "Arrivals":
        """Of the surface's items that aren't known.

        Args:
            bought: every item with its ``vector``.
            buyers: float64 [items], users who bought each of them.
            floor: the surface's items, with ``first_seen``.
            known: ids of items.
            width: entries of a vector, from the first, that hold what the item says it is.
        """
        new = pc.invert(pc.is_in(floor.ids, known))
        latest = pa.table({"id": floor.ids, "seen": floor.columns["first_seen"].combine_chunks()}).filter(new)
        latest = latest.sort_by([("seen", "descending"), ("id", "ascending")])[:MOST]["id"].combine_chunks()
        units = unit(bought.matrix("vector")[:, :width])
        own = bought.positions(latest)
        sold = np.zeros(len(own))
        for low in range(0, len(units), AT_ONCE):
            part = slice(low, low + AT_ONCE)
            sold += np.log1p(buyers[part]) @ _kernel(units[part], units[own])
        return cls(bought, units, own, floor.positions(latest), sold)

    def liked(self, histories: pa.ListArray, count: int = OFFERED) -> np.ndarray:
        """int64 [n, count], or as many as there are: the arrivals that a user may like best; -1 for none.

        An arrival scores the sum, over the distinct items of the history, of log(1 + times bought) x kernel, by the
        root of how much is sold of what is like it: else all would get what is like bestsellers.

        Args:
            histories: item ids that each of n users bought; null for a user without a past.
        """
        width = min(count, len(self.own))
        told = np.full((len(histories), width), -1, np.int64)
        if not width:
            return told
        ends = np.cumsum(histories.value_lengths().fill_null(0).to_numpy())[:-1]
        usual = np.sqrt(np.maximum(self.sold, 1.0))  # not less, for what is like nothing that sells
        for user, items in enumerate(np.split(self.bought.positions(histories.flatten()), ends)):
            mine, times = np.unique(items[items >= 0], return_counts=True)
            if len(mine):
                scores = np.log1p(times) @ _kernel(self.units[mine], self.units[self.own]) / usual
                told[user] = self.places[np.argsort(-scores, kind="stable")[:width]]
        return told


def _kernel(items: np.ndarray, others: np.ndarray) -> np.ndarray:
    """float32 [i, o]: exp(STEEP x (cosine - 1)); 1 for items that say the same."""
    return np.exp(STEEP * (items @ others.T - 1))
