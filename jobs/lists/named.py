"""From names to numbers: which items of a block a rule or a wish means, for :mod:`jobs.ranking.rules`."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, Row

from jobs.lists.blocks import Block
from jobs.ranking.rules import Goods, Rule, Users, Wish

# columns of catalogue.items that rules read
ASKED = ("brand", "category", "category_path", "price", "available", "days_of_supply")
TARGETS = {"item": "item_id", "brand": "brand", "category": "category"}  # kinds, and their columns in a rule
LESS = {"less_brand": "brand", "less_category": "category"}


def in_force(rules: DataFrame) -> list[Row]:
    """The active rows of lists.rules in the order of their ids: a few hundred, collected to the driver."""
    return sorted(rules.where("state = 'active'").collect(), key=lambda row: row["rule_id"])


def target(row: Row) -> tuple[str, str | None]:
    """The kind of what a rule names, and its name; ("", None) for a rule over every item."""
    return next(((kind, row[name]) for kind, name in TARGETS.items() if row[name] is not None), ("", None))


@dataclass(frozen=True)
class Named:
    """The numbers of a block's brands and categories; an item's is its position.

    Args:
        block: the items.
        goods: of the items.
        brands, categories: number by name.
    """

    block: Block
    goods: Goods
    brands: dict[str, int]
    categories: dict[str, int]

    @classmethod
    def of(cls, block: Block) -> "Named":
        """Of a block with the columns of :data:`ASKED`."""
        columns = {name: block.columns[name].combine_chunks() for name in ASKED}
        brands = columns["brand"].unique().drop_null()
        paths = columns["category_path"]
        flat, lengths = paths.flatten(), paths.value_lengths().fill_null(0).to_numpy()
        categories = flat.unique().drop_null()
        levels = np.arange(lengths.max(initial=1)) < lengths[:, None]
        numbers = np.full(levels.shape, -1, np.int64)
        numbers[levels] = _numbers(flat, categories)
        goods = Goods(
            items=np.arange(len(paths)),
            brands=_numbers(columns["brand"], brands),
            categories=_numbers(columns["category"], categories),
            paths=np.ascontiguousarray(numbers.T),
            prices=columns["price"].to_numpy(zero_copy_only=False).astype(np.float64),
            stocked=columns["available"].fill_null(False).to_numpy(zero_copy_only=False),
            supply=columns["days_of_supply"].cast(pa.float64()).fill_null(np.inf).to_numpy(zero_copy_only=False),
        )
        return cls(
            block, goods, *({name: n for n, name in enumerate(each.to_pylist())} for each in (brands, categories))
        )

    def number(self, kind: str, name: str | None) -> int:
        """-1 for a name that the block doesn't hold, and for none."""
        if kind == "item":
            return int(self.block.positions(pa.array([name], pa.string()))[0])
        return {"brand": self.brands, "category": self.categories, "": {}}[kind].get(name, -1)

    def rule(self, row: Row) -> Rule:
        """A row of lists.rules or raw.rules."""
        kind, name = target(row)
        figures = {name: float(row[name]) for name in ("value", "low", "high") if row[name] is not None}
        return Rule(row["rule_id"], row["action"], kind, self.number(kind, name), row["segment"], **figures)

    def rules(self, rows: Iterable[Row], surface: str) -> list[Rule]:
        """The rules of a surface, in the order of ``rows``."""
        return [self.rule(row) for row in rows if row["surface"] in (None, surface)]

    def users(self, batch: pa.RecordBatch) -> Users:
        """The users of a batch with the columns segment, age and wishes of :func:`jobs.lists.asking.asking`."""
        ages = batch["age"].cast(pa.float64()).to_numpy(zero_copy_only=False)
        wishes = [
            Wish(user, f"{kind} {name}", LESS[kind], self.number(LESS[kind], name))
            for user, each in enumerate(batch["wishes"].to_pylist())
            for kind, name in ((wish["preference"], wish["value"]) for wish in each)
            if kind in LESS
        ]
        return Users(batch["segment"].to_pylist(), ages, wishes)


def _numbers(values: pa.Array, known: pa.Array) -> np.ndarray:
    """int64: the place of each value in ``known``; -1 for null, and for one that isn't there."""
    places = pc.index_in(values, value_set=known)
    return pc.if_else(values.is_valid(), places, None).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
