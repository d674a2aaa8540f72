"""A chosen list in another order."""

from dataclasses import replace

import numpy as np

from jobs.ranking.blend import Blend
from jobs.ranking.diversify import diversity_of


def by_price(lists: Blend, wanted: np.ndarray, prices: np.ndarray, vectors: np.ndarray) -> Blend:
    """The lists of those who want it by price, the cheapest first; unknown prices last, equal ones in their old order.

    A score stays with its item; the diversity is told anew, as it is that of an order.

    Args:
        lists: of n users.
        wanted: bool [n], whose lists to sort.
        prices: float64 [n, c], of the candidates; NaN where unknown.
        vectors: float32 [n, c, d], of unit length or zero.
    """
    rows = np.flatnonzero(wanted)
    picks = lists.picks[rows]
    theirs = np.take_along_axis(prices[rows], picks.clip(0), axis=1)
    # the places past the end of a short list stay there, after unknown prices
    order = np.lexsort((np.where(np.isnan(theirs), np.inf, theirs), picks < 0), axis=1)
    picks = np.take_along_axis(picks, order, axis=1)
    changed = [each.copy() for each in (lists.picks, lists.scores, lists.diversity)]
    changed[0][rows] = picks
    changed[1][rows] = np.take_along_axis(lists.scores[rows], order, axis=1)
    changed[2][rows] = diversity_of(picks, vectors[rows])
    return replace(lists, picks=changed[0], scores=changed[1], diversity=changed[2])
