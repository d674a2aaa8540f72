"""Fronts: which points no other one beats, how evenly they lie, and how much they cover."""

import numpy as np

from jobs.ranking.topk import require_finite


def nondominated(values: np.ndarray) -> np.ndarray:
    """bool [p]: whether no other point is at least as good in everything and better in something.

    Args:
        values: float64 [p, m], higher is better. Of equal points all stay.

    Raises:
        ValueError: if a value is not finite.
    """
    require_finite("values", values)
    as_good = np.ones((len(values), len(values)), bool)
    better = np.zeros_like(as_good)
    for column in values.T:
        as_good &= column[:, None] >= column
        better |= column[:, None] > column
    return ~(as_good & better).any(axis=0)


def normalised(values: np.ndarray, worst: np.ndarray, best: np.ndarray) -> np.ndarray:
    """float64 [p, m], ``worst`` as 0 and ``best`` as 1; 0 for a measure in which these don't differ.

    So no measure's unit counts.
    """
    span = best - worst
    return np.divide(values - worst, span, out=np.zeros(values.shape), where=np.broadcast_to(span > 0, values.shape))


def varying(values: np.ndarray) -> np.ndarray:
    """float64 [p, v], without the measures of float64 [p, m] that are the same for all; all of them if none differs.

    They would make every hypervolume 0.
    """
    differ = values.max(axis=0) > values.min(axis=0)
    return values[:, differ] if differ.any() else values


def spacing(front: np.ndarray) -> float:
    """How evenly the points of a front lie: the standard deviation of each one's distance to its nearest (Schott 1995).

    Args:
        front: float64 [p, m], normalised. Distances add up the absolute differences; 0 is even, and what one or two
            points have.
    """
    if len(front) < 3:
        return 0.0
    distances = np.abs(front[:, None, :] - front).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    return float(distances.min(axis=1).std(ddof=1))
