"""The items that a surface may show at all, and what else the rules keep from some of its users."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import Row
from scipy import sparse

from jobs.lists.blocks import Block
from jobs.lists.named import Named
from jobs.lists.popularity import Popularity
from jobs.ranking.rules import REFUSING, Rule, Users, pins, refusals
from schemas.lists import Surface


@dataclass(frozen=True)
class Floor:
    """Items with their popularity, and the rules over them.

    Args:
        block, popularity: of the items.
        named: the numbers of the block; None before a surface was asked for.
        rules: of the surface, in the order of their ids.
        partly: those of them that keep items from some users and not from others.
    """

    block: Block
    popularity: Popularity
    named: Named | None = None
    rules: list[Rule] = field(default_factory=list)
    partly: list[Rule] = field(default_factory=list)

    def of(self, rows: Sequence[Row], surface: Surface, day: date) -> "Floor":
        """The floor of one surface: without the items that nobody may get there, which then cost no search.

        Raises:
            ValueError: if no item is left.
        """
        named = Named.of(self.block)
        rules = named.rules(rows, surface.name)
        if not rules:
            return Floor(self.block, self.popularity, named)
        everybody = [r for r in rules if r.action in REFUSING and r.action != "age_restricted" and r.segment is None]
        every = named.goods.at(np.arange(len(self.block.ids))[None, :])
        kept = refusals(everybody, every, Users([None], np.array([np.nan])))[0] < 0
        if not kept.any():
            raise ValueError(
                f"lists.rules: the rules leave nothing to show on surface {surface.name!r}, night {day}; take one of "
                f"them out: {', '.join(rule.rule_id for rule in everybody)}"
            )
        block, popularity = self.block, self.popularity
        if not kept.all():
            block, popularity = block.only(kept), popularity.only(kept)
            named = Named.of(block)
        rules = named.rules(rows, surface.name)
        partly = [r for r in rules if r.action in REFUSING and (r.action == "age_restricted" or r.segment is not None)]
        return Floor(block, popularity, named, rules, partly)

    def asked(self, users: pa.RecordBatch, length: int) -> tuple[sparse.csr_array | None, np.ndarray]:
        """What the rules keep from each user, bool [n, items], None for nothing; and the pins, int64 [n, length]."""
        who = self.named.users(users)
        pinned, _ = pins(self.rules, self.named.goods, who, length)
        if not self.partly:
            return None, pinned
        # few users differ in what counts: each kind is worked out once
        kinds, kind_of = _kinds(who)
        at = np.broadcast_to(np.arange(len(self.block.ids)), (len(kinds.segments), len(self.block.ids)))
        refused = refusals(self.partly, self.named.goods.at(at), kinds) >= 0
        return sparse.csr_array(refused)[kind_of], pinned


def _kinds(users: Users) -> tuple[Users, np.ndarray]:
    """The distinct pairs of segment and age, and int64 [n]: which of them each user is."""
    pairs = [(segment, None if np.isnan(age) else age) for segment, age in zip(users.segments, users.ages, strict=True)]
    places = {pair: place for place, pair in enumerate(dict.fromkeys(pairs))}
    ages = np.array([np.nan if age is None else age for _, age in places])
    return Users([segment for segment, _ in places], ages), np.array([places[pair] for pair in pairs])
