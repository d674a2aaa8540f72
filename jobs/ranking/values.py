"""The objectives of candidates as numbers, and the scales that let them be added up."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jobs.ranking.topk import require_finite

SHOPPER = ("relevance", "satisfaction")  # objectives that both say what the shopper wants
LARGE = 0.5  # share of all sales that the largest suppliers make together; all others are small
CAP = 0.98  # quantile of an objective above which more counts for nothing
USUAL = 3.0  # purchases that what a purchase is expected to bring is worth, beside what the user paid for the item


def novelty(shoppers: np.ndarray, everybody: int) -> np.ndarray:
    """float64 [m], 0 to 1: the surprise of an item, as its self-information over that of an item without a shopper.

    -log2((shoppers + 1) / (everybody + 1)) / log2(everybody + 1); Zhou et al. (PNAS 2010), with one shopper more so
    that an item that nobody took is as surprising as can be, and not infinitely so.

    Args:
        shoppers: int64 [m], who took the item of late.
        everybody: who took anything.
    """
    most = np.log2(everybody + 1)
    return (most - np.log2(shoppers + 1.0)) / most if everybody else np.ones(len(shoppers))


def small_suppliers(suppliers: np.ndarray, sales: np.ndarray) -> np.ndarray:
    """float64 [m]: 1 for an item of a small supplier, 0 of a large one, NaN where the supplier is not known.

    Large are the fewest suppliers who make :data:`LARGE` of all sales together; of equal ones the first number.

    Args:
        suppliers: int64 [m], a number for each supplier, -1 where unknown.
        sales: float64 [m] of each item, not negative.
    """
    known = suppliers >= 0
    if not known.any():
        return np.full(len(suppliers), np.nan)
    totals = np.bincount(suppliers[known], sales[known])
    order = np.argsort(-totals, kind="stable")
    above = np.concatenate([[0.0], totals[order].cumsum()[:-1]])
    small = np.ones(len(totals), bool)
    small[order] = above >= LARGE * totals.sum()
    return np.where(known, small[suppliers], np.nan)


def margins(prices: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """float64 [m], 0 to 1: the part of its price that an item's cost leaves; NaN where either is not known.

    0 for an item that costs as much as its price or more, or that is given away.

    Args:
        prices, costs: float64 [m] of a unit, not negative; NaN where unknown.
    """
    left = np.maximum(prices - costs, 0.0)
    return np.divide(left, prices, out=np.where(np.isnan(left), np.nan, 0.0), where=prices > 0)


def own_spend(
    spend: np.ndarray,
    positions: np.ndarray,
    owners: np.ndarray,
    items: np.ndarray,
    paid: np.ndarray,
    baskets: np.ndarray,
) -> np.ndarray:
    """float64 [n, c]: the money of a purchase, drawn from what is expected to what the user paid for the item before.

    The mean over the user's purchases of the item and :data:`USUAL` more at the expected money: whoever buys four
    bottles each time will not buy one. NaN where nothing is expected.

    Args:
        spend: float64 [n, c], the money expected of a purchase of each candidate, NaN where unknown.
        positions: int64 [n, c], which item each is; -1 for padding.
        owners, items, paid, baskets: of the h lines of the users' histories: int64 row of the user, int64 item or -1,
            float64 money, NaN where unknown, and int64 basket. Lines of one item in one basket are one purchase; those
            without money above 0 count for nothing.
    """
    told = (items >= 0) & (paid > 0)
    owners, items, paid, baskets = (each[told] for each in (owners, items, paid, baskets))
    size = max(positions.max(initial=0), items.max(initial=0)) + 1
    bought, place = np.unique(owners * size + items, return_inverse=True)
    if not len(bought):
        return spend
    money = np.bincount(place, paid)
    order = np.lexsort((baskets, place))
    place, baskets = place[order], baskets[order]
    first = np.ones(len(order), bool)
    first[1:] = (place[1:] != place[:-1]) | (baskets[1:] != baskets[:-1])
    times = np.bincount(place, first)
    wanted = np.arange(len(positions))[:, None] * size + positions
    at = np.searchsorted(bought, wanted).clip(max=len(bought) - 1)
    before = (bought[at] == wanted) & (positions >= 0)
    return np.where(before, (money[at] + USUAL * spend) / (times[at] + USUAL), spend)


def expected_revenue(
    relevance: np.ma.MaskedArray, spend: np.ma.MaskedArray, price: np.ma.MaskedArray
) -> np.ma.MaskedArray:
    """The money that a user's next purchase is expected to bring through this item.

    Relevance is the share of the item in what they take next, and what they then pay is ``spend``, or the price where
    that is unknown. p_purchase isn't asked: it is of users to whom an item was shown, few of all pairs, and tells items
    that will be bought from those that won't less well.

    Args:
        relevance, spend, price: float64 [n, c], masked where unknown.
    """
    return np.ma.where(np.ma.getmaskarray(spend), price, spend) * relevance


def satisfaction(
    p_click: np.ma.MaskedArray, p_purchase: np.ma.MaskedArray, shares: Mapping[str, float]
) -> np.ma.MaskedArray:
    """What the shopper gets of being shown an item: ``shares`` of p_click and p_purchase, over those that are known."""
    total, weight = np.zeros(p_click.shape), np.zeros(p_click.shape)
    for name, values in (("p_click", p_click), ("p_purchase", p_purchase)):
        known = ~np.ma.getmaskarray(values)
        total += np.where(known, shares[name] * np.ma.getdata(values), 0.0)
        weight += np.where(known, shares[name], 0.0)
    told = weight > 0
    return np.ma.array(np.divide(total, weight, out=np.zeros(total.shape), where=told), mask=~told)


def standing_in(scaled: Mapping[str, np.ndarray], known: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Scaled objectives float64 [n, c]; of users of whom one of :data:`SHOPPER` isn't known at all, the other for it.

    As :func:`jobs.ranking.blend.blend` does it with the weight.

    Args:
        known: by objective, bool [n], whether anything is known of a user.
    """
    made = dict(scaled)
    if set(SHOPPER) <= set(scaled):
        for name, other in (SHOPPER, SHOPPER[::-1]):
            lacking = ~known[name] & known[other]
            made[name] = np.where(lacking[:, None], scaled[other], scaled[name])
    return made


@dataclass(frozen=True)
class Scale:
    """How an objective enters the blended score: value up to ``cap``, over ``unit``."""

    unit: float
    cap: float

    @classmethod
    def of(cls, values: np.ma.MaskedArray, length: int, *, heavy: bool = False) -> "Scale":
        """So that the best list by this objective alone has 1 an item, on the average over the users.

        One scale for all users, and none of their own: a share of money that a few can bring is then taken from those
        who can bring it, for the least that the others must give up (:mod:`jobs.ranking.lagrange`).

        Args:
            values: float64 [n, c], not negative; masked where unknown.
            length: places of a list.
            heavy: whether the values have a heavy tail, which a model guesses badly: then there is a cap.
        """
        known = ~np.ma.getmaskarray(values)
        if not known.any():
            return cls(1.0, np.inf)
        cap = float(np.quantile(np.ma.getdata(values)[known], CAP)) if heavy else np.inf
        cap = cap if cap > 0 else np.inf
        full = np.where(known, np.minimum(np.ma.getdata(values), cap), 0.0)
        width = min(length, full.shape[1])
        best = np.partition(full, full.shape[1] - width, axis=1)[:, full.shape[1] - width :]
        unit = float(best.mean())
        return cls(unit if unit > 0 else 1.0, cap)

    def scaled(self, values: np.ma.MaskedArray) -> np.ndarray:
        """float64 of the same shape; an unknown value is 0, the least there is.

        Raises:
            ValueError: if a known value is not a finite number.
        """
        plain = np.where(np.ma.getmaskarray(values), 0.0, np.ma.getdata(values))
        require_finite("values", plain)
        return self.of_known(plain)

    def of_known(self, values: np.ndarray) -> np.ndarray:
        """The same of finite numbers float64."""
        return (np.minimum(values, self.cap) if self.cap < np.inf else values) / self.unit
