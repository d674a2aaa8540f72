"""How much variety a user wants, as a multiplier of what the lists of all trade for it."""

import numpy as np

from jobs.ranking.topk import require_finite

LEAST, MOST = 0.5, 2.0


def appetite(variety: np.ndarray, average: float) -> np.ndarray:
    """float64 [n]: a user's variety over the average, not below 0.5 and not above 2; 1 where it is unknown.

    A ratio, because variety is a mean distance: who takes things twice as unlike each other as others do gets twice the
    strength. The bounds keep a user with few purchases, whose variety is told by chance, from a list of one kind only
    and from one that is random.

    Args:
        variety: float64 [n], not negative, as in lists.vectors; NaN where unknown.
        average: of all users, and not of this batch: a list must not depend on who else is in it.

    Raises:
        ValueError: if the average is not positive, or a variety negative or infinite.
    """
    if not (np.isfinite(average) and average > 0):
        raise ValueError(f"average is {average}; the average variety of all users must be a positive number")
    known = ~np.isnan(variety)
    ratio = np.where(known, variety, average) / average
    require_finite("variety", ratio)
    if (ratio < 0).any():
        user = int(np.argmax(ratio < 0))
        raise ValueError(f"variety[{user}] is {variety[user]}; it must not be negative")
    return ratio.clip(LEAST, MOST)
