"""Business rules and preferences over candidates: who may be shown what, what moves, what is pinned, and by which rule.

Where rules disagree, this order decides, so that no set of rules is an error:

1. exclude, age_restricted, price_band, in_stock and expected_in_stock beat every other rule. Of several, the first is
   named.
2. pin beats caps and bury.
3. Of two pins of one rank, or of one item, the first keeps it.
4. boost and bury of one item add up.

"First" is in the order of ``rules``, which is that of the rule ids.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from jobs.ranking.places import Limits

REFUSING = ("exclude", "age_restricted", "price_band", "in_stock", "expected_in_stock")
CAPS = ("cap_brand", "cap_category")
LESS = 0.5  # strength at which a user's less_brand and less_category bury


@dataclass(frozen=True)
class Goods:
    """What rules ask of items: of a whole block, of shape [items], or of candidates, of shape [n, c].

    Args:
        items: int64, the position of the item in the block; -1 for padding, of which all else is unknown.
        brands: int64, the number of the brand; -1 for none.
        categories: int64, the number of the category that lists are grouped by; -1 for none.
        paths: int64 [levels, ...], the numbers of all categories of an item; -1 past the end.
        prices: float64; NaN where unknown.
        stocked: bool, whether the shop says that it has the item.
        supply: float64, days that the stock is expected to last; infinite where that isn't known.
    """

    items: np.ndarray
    brands: np.ndarray
    categories: np.ndarray
    paths: np.ndarray
    prices: np.ndarray
    stocked: np.ndarray
    supply: np.ndarray

    def at(self, positions: np.ndarray) -> "Goods":
        """Of a block's items those at ``positions``, in their shape; -1 is padding. Gathered once for all rules."""
        inside = positions >= 0
        numbers = (np.where(inside, each[..., positions], -1) for each in (self.brands, self.categories, self.paths))
        prices = np.where(inside, self.prices[positions], np.nan)
        supply = np.where(inside, self.supply[positions], np.inf)
        return Goods(positions, *numbers, prices, inside & self.stocked[positions], supply)

    def named(self, kind: str, number: int) -> np.ndarray:
        """bool: which of the items are the item, brand or category of that number.

        ``kind`` "" names every item, and a number below 0 none.
        """
        if not kind:
            return self.items >= 0
        if number < 0:
            return np.zeros(self.items.shape, bool)
        if kind == "category":
            return np.logical_or.reduce(self.paths == number, axis=0)
        return (self.items if kind == "item" else self.brands) == number


@dataclass(frozen=True)
class Rule:
    """One rule in force. ``kind`` and ``number`` say what it names, see :meth:`Goods.named`.

    Args:
        rule_id: its name.
        action: one of raw.rules.
        kind: item, brand, category, or "" for every item.
        number: of the item (its position in the block), the brand or the category.
        segment: whom it is for; None for everybody.
        value: rank, strength, most of a list, least age in years, or days that the stock has to last, as the action
            asks.
        low, high: of the price band, both inside it.
    """

    rule_id: str
    action: str
    kind: str = ""
    number: int = -1
    segment: str | None = None
    value: float = np.nan
    low: float = -np.inf
    high: float = np.inf


@dataclass(frozen=True)
class Wish:
    """A user's less_brand or less_category: ``user`` is the row, ``name`` what a list's column ``rules`` calls it."""

    user: int
    name: str
    kind: str
    number: int


@dataclass(frozen=True)
class Users:
    """Whom rules ask about.

    Args:
        segments: the segment of each of n users; None where it must not count.
        ages: float64 [n], years, the least that is known; NaN where nothing is.
        wishes: of these users.
    """

    segments: Sequence[str | None]
    ages: np.ndarray
    wishes: Sequence[Wish] = ()

    def meant(self, rule: Rule) -> np.ndarray:
        """bool [n, 1]: whom the rule is for."""
        if rule.segment is None:
            return np.ones((len(self.segments), 1), bool)
        return np.array([rule.segment == segment for segment in self.segments], bool)[:, None]


@dataclass(frozen=True)
class Ruled:
    """What rules make of n users' c candidates.

    Args:
        allowed: bool [n, c], False also for padding.
        bump: float64 [n, c], to add to the blended score, which is about 1 for an item of the average list.
        pinned: int64 [n, length], the candidate that stands at each rank; -1 for none.
        limits: of the caps.
        moved: by rule id or name of a wish, bool [n, c]: the candidates that it pinned, boosted or buried.
        refused_by: int64 [n, c], the place in ``rules`` of the rule that keeps a candidate from a user; -1 for none.
    """

    allowed: np.ndarray
    bump: np.ndarray
    pinned: np.ndarray
    limits: tuple[Limits, ...] = ()
    moved: dict[str, np.ndarray] = field(default_factory=dict)
    refused_by: np.ndarray | None = None

    def rows(self, rows: np.ndarray, bump: np.ndarray) -> "Ruled":
        """What decides the lists of some of the users, with another bump."""
        limits = tuple(Limits(limit.groups[rows], limit.most) for limit in self.limits)
        return Ruled(self.allowed[rows], bump, self.pinned[rows], limits)


def ruled(rules: Sequence[Rule], goods: Goods, positions: np.ndarray, users: Users, length: int) -> Ruled:
    """Holds the candidates against the rules.

    Args:
        rules: those in force, in the order of their ids.
        goods: the items.
        positions: int64 [n, c], which item each candidate is; -1 for padding. Pinned items that are not among them
            don't appear: see :func:`extended`.
        users: n of them.
        length: places of a list.
    """
    offered = goods.at(positions)
    refused_by = refusals(rules, offered, users)
    allowed = (positions >= 0) & (refused_by < 0)
    items, by = pins(rules, goods, users, length)
    here = (positions[:, None, :] == items[:, :, None]) & (items >= 0)[:, :, None] & allowed[:, None, :]
    pinned = np.where(here.any(axis=2), here.argmax(axis=2), -1)
    bump, moved = bumps(rules, offered, users)
    free = allowed & ~here.any(axis=1)
    moved = {name: mask & free & (bump != 0) for name, mask in moved.items()}
    for place in np.unique(by[by >= 0]):
        moved[rules[place].rule_id] = (here & (by == place)[:, :, None]).any(axis=1)
    limits = tuple(_limit(rule, offered, users) for rule in rules if rule.action in CAPS)
    return Ruled(allowed, np.where(free, bump, 0.0), pinned, limits, moved, refused_by)


def refusals(rules: Sequence[Rule], offered: Goods, users: Users) -> np.ndarray:
    """int64 [n, c]: the place in ``rules`` of the first rule that keeps the item from the user; -1 where none does.

    An unknown price lies in no band, an unknown age is below every least age, and an unknown stock lasts. ``offered``
    is of shape [n, c].
    """
    by = np.full(offered.items.shape, -1, np.int64)
    for place, rule in enumerate(rules):
        if rule.action not in REFUSING:
            continue
        hit = offered.named(rule.kind, rule.number) & users.meant(rule)
        if rule.action == "age_restricted":
            hit = hit & ~(users.ages >= rule.value)[:, None]
        elif rule.action == "price_band":
            hit = hit & ~((offered.prices >= rule.low) & (offered.prices <= rule.high))
        elif rule.action == "in_stock":
            hit = hit & ~offered.stocked
        elif rule.action == "expected_in_stock":
            hit = hit & (offered.supply < rule.value)
        by[hit & (by < 0)] = place
    return by


def pins(rules: Sequence[Rule], goods: Goods, users: Users, length: int) -> tuple[np.ndarray, np.ndarray]:
    """int64 [n, length] each: the item (its position) that each user has at each rank, and the rule's place; -1: none.

    A user who may not get the item has no pin there, and a rank past the end of the list is none.
    """
    shape = (len(users.segments), length)
    items, by = np.full(shape, -1, np.int64), np.full(shape, -1, np.int64)
    for place, rule in enumerate(rules):
        if rule.action != "pin" or rule.number < 0 or rule.value > length:
            continue
        rank = int(rule.value) - 1
        alone = goods.at(np.full((len(users.segments), 1), rule.number))
        may = users.meant(rule)[:, 0] & (refusals(rules, alone, users)[:, 0] < 0)
        may &= (items[:, rank] < 0) & (items != rule.number).all(axis=1)
        items[may, rank], by[may, rank] = rule.number, place
    return items, by


def extended(positions: np.ndarray, pinned: np.ndarray) -> np.ndarray:
    """int64 [n, c + p]: the candidates, then the pinned items that are not among them; -1 for padding.

    Args:
        positions: int64 [n, c].
        pinned: int64 [n, length], items; -1 for none, no item twice in a row.
    """
    new = (pinned >= 0) & ~(positions[:, :, None] == pinned[:, None, :]).any(axis=1)
    order = np.argsort(~new, axis=1, kind="stable")
    added = np.take_along_axis(np.where(new, pinned, -1), order, axis=1)
    return np.concatenate([positions, added[:, : new.sum(axis=1).max(initial=0)]], axis=1)


def bumps(rules: Sequence[Rule], offered: Goods, users: Users) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """float64 [n, c], the sum of all boosts and buries, and bool [n, c] by rule id or wish: what each of them names."""
    shape = offered.items.shape
    bump, named = np.zeros(shape), {}
    for rule in rules:
        if rule.action in ("boost", "bury"):
            hit = offered.named(rule.kind, rule.number) & users.meant(rule)
            bump[hit] += rule.value if rule.action == "boost" else -rule.value
            named[rule.rule_id] = hit
    for kind, number, name in dict.fromkeys((wish.kind, wish.number, wish.name) for wish in users.wishes):
        theirs = np.zeros((shape[0], 1), bool)
        theirs[[wish.user for wish in users.wishes if wish.name == name]] = True
        hit = offered.named(kind, number) & theirs
        bump[hit] -= LESS
        named[name] = hit
    return bump, named


def _limit(rule: Rule, offered: Goods, users: Users) -> Limits:
    """A cap: of each brand or category at most so many, or of the one it names."""
    if rule.kind:
        groups = np.zeros(offered.items.shape, np.int64)
    else:
        groups = offered.brands if rule.action == "cap_brand" else offered.categories
    counts = offered.named(rule.kind, rule.number) & users.meant(rule)
    return Limits(np.where(counts, groups, -1), int(rule.value))
