"""Which rules give way to which: worked out for each surface and segment, as lists are made for them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pyspark.sql import Row

from jobs.lists.named import Named
from jobs.ranking.rules import REFUSING, Goods, Rule, Users, pins, refusals
from schemas.control import SEGMENTS
from schemas.lists import SURFACES

OPPOSITE = {"boost": "bury", "bury": "boost"}


@dataclass(frozen=True)
class Cell:
    """What the rules say to the users of one segment on one surface, if they are old enough for everything.

    Args:
        rules: those for them, in the order of their ids.
        refused_by: int64 [items on sale], the place of the rule that keeps the item out; -1 for none.
        pinned, pinned_by: int64 [length], the item at each rank and the place of its rule; -1 for none.
    """

    rules: list[Rule]
    refused_by: np.ndarray
    pinned: np.ndarray
    pinned_by: np.ndarray


@dataclass(frozen=True)
class Standing:
    """The cells of all surfaces and segments; None stands for users whose segment must not count."""

    named: Named
    on_sale: Goods
    cells: dict[tuple[str, str | None], Cell]

    @classmethod
    def of(cls, named: Named, rows: list[Row], on_sale: np.ndarray) -> "Standing":
        """Of rows of raw.rules that hold tonight by themselves, in the order of their ids."""
        cells = {}
        for surface in SURFACES:
            every = named.rules(rows, surface.name)
            for segment in (*SEGMENTS, None):
                users = Users([segment], np.array([np.inf]))
                ours = [rule for rule in every if users.meant(rule)[0, 0]]
                refused_by = refusals(ours, named.goods.at(on_sale[None, :]), users)[0]
                pinned, by = pins(ours, named.goods, users, surface.length)
                cells[surface.name, segment] = Cell(ours, refused_by, pinned[0], by[0])
        return cls(named, named.goods.at(on_sale), cells)

    def lost(self, row: Row) -> tuple[str, str] | None:
        """("overridden", which rule it gave way to) for a rule that moves nothing anywhere; else None."""
        if row["action"] in REFUSING:
            return None
        told = None
        for cell in self._of(row):
            why = self._why(self.named.rule(row), cell)
            if why is None:
                return None
            told = told or why
        return ("overridden", told) if told else None

    def partly(self, row: Row) -> list[str]:
        """What other rules take from an active one somewhere, in a few words each."""
        rule, told = self.named.rule(row), []
        names = self.on_sale.named(rule.kind, rule.number)
        for cell in self._of(row):
            left = names & (cell.refused_by < 0)
            refused = cell.refused_by[names & ~left]
            if row["action"] not in REFUSING and len(refused):
                told.append(f"rule {cell.rules[refused[0]].rule_id!r} keeps some of them out")
            for other in cell.rules:
                theirs = self.on_sale.named(other.kind, other.number)
                if other.action == OPPOSITE.get(rule.action) and (left & theirs).any():
                    told.append(f"its strength and that of rule {other.rule_id!r} add up")
        return list(dict.fromkeys(told))

    def _of(self, row: Row) -> Iterator[Cell]:
        for (surface, segment), cell in self.cells.items():
            if row["surface"] in (None, surface) and row["segment"] in (None, segment):
                yield cell

    def _why(self, rule: Rule, cell: Cell) -> str | None:
        """The sentence that says why a rule moves nothing in a cell; None if it moves something."""
        names = self.on_sale.named(rule.kind, rule.number)
        left = names & (cell.refused_by < 0)
        if not left.any():
            first = cell.rules[cell.refused_by[names][0]]
            return f"Rule {first.rule_id!r} ({first.action}) keeps out all that it names."
        if rule.action == "bury" and np.isin(self.on_sale.items[left], cell.pinned).all():
            pin = cell.rules[cell.pinned_by[cell.pinned == self.on_sale.items[left][0]][0]]
            return f"Rule {pin.rule_id!r} (pin) puts all that it names in a place."
        if rule.action != "pin":
            return None
        own = [each.rule_id for each in cell.rules].index(rule.rule_id)
        return None if own in cell.pinned_by else self._other_pin(rule, own, cell)

    @staticmethod
    def _other_pin(rule: Rule, own: int, cell: Cell) -> str:
        """Why a pin of an item that may be shown has no place; ``own`` is its place among the cell's rules."""
        if rule.value > len(cell.pinned):
            return "The lists of this surface are shorter."
        place, what = cell.pinned_by[int(rule.value) - 1], f"pins to rank {rule.value:.0f} too"
        if not 0 <= place < own:
            place, what = cell.pinned_by[cell.pinned == rule.number][0], "pins the same item"
        return f"Rule {cell.rules[place].rule_id!r} {what}, and its id sorts first."
