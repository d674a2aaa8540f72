"""The few candidates that the next ranks of greedy lists are chosen from, where totals only fall from rank to rank.

What stood too low when it was last looked at stands no higher now. So as long as the best of a shortlist lies above
what the others were then, they need not be looked at again, and the choice is the same as if they had been. (Minoux,
Accelerated greedy algorithms for maximizing submodular set functions, 1978, does so one by one.)
"""

import numpy as np

SIZE = 32  # candidates of a user
RANKS = 8  # after so many all shortlists are made anew: the bounds are old, and what is open falls short of them
SOON = (0, 2, 5)  # the first ranks at which those of a DPP are, for its totals fall most where little is chosen


def due(rank: int) -> bool:
    """Whether all shortlists of a DPP are made anew at this rank."""
    return rank in SOON or (rank > RANKS and rank % RANKS == RANKS // 2)


class Shortlists:
    """Of n users with c candidates.

    Args:
        total: float [n, c], -inf for what can't be chosen.
        size: candidates of a user.

    Attributes:
        places: int64 [n, m], positions among the candidates, in rising order, so that ties go to the same.
        bound: float [n], the largest total of those that are not in it; -inf without any.
    """

    def __init__(self, total: np.ndarray, size: int = SIZE):
        self.size = size
        self.places, self.bound = _best(total, size)

    def renew(self, users: np.ndarray, total: np.ndarray) -> None:
        """Makes those of some users, int64 [u], anew from their totals, float [u, c]."""
        self.places[users], self.bound[users] = _best(total, self.size)


def _best(total: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    n, c = total.shape
    if c <= size:
        return np.tile(np.arange(c), (n, 1)), np.full(n, -np.inf, total.dtype)
    order = np.argpartition(-total, size, axis=1)
    return np.sort(order[:, :size], axis=1), np.take_along_axis(total, order[:, size:][:, :1], axis=1)[:, 0]
