"""The share of the exactly best gain: our constrained lists beside the integer programme of all users' lists."""

import numpy as np
from scipy.optimize import LinearConstraint, milp
from scipy.sparse import block_diag, csr_array, vstack

from jobs.ranking.lagrange import constrained

USERS, QUICK_USERS = 500, 20
KEPT = 0.98  # of the best relevance
GAP = 1e-6  # within which HiGHS proves its optimum


def shares(gain: np.ndarray, value: np.ndarray, length: int) -> dict[str, float]:
    """Of the gain that any lists with enough value can add to the most valuable ones, what ours and others add.

    Args:
        gain, value: float64 [n, c], expected revenue and relevance.
        length: items of a list.
    """
    best = _top(value, length)
    start, bound = gain[best].sum(), KEPT * value[best].sum()
    exact = _exact(gain, value, length, bound)
    ours = constrained(gain, value, length, bound)
    policy = _top(gain + ours.multiplier * value, length)
    swaps = _swapped(gain, value, best, bound)
    most = gain[exact].sum() - start
    told = {"ours": ours.picks, "ours, one policy for all": policy, "best swaps of each user": swaps}
    return {name: float((gain[picks].sum() - start) / most) for name, picks in told.items()} | {
        "bound of the dual": float((ours.most - start) / most),
        "relevance kept": float(ours.value / value[best].sum()),
    }


def _top(scores: np.ndarray, length: int) -> np.ndarray:
    picks = np.zeros(scores.shape, bool)
    np.put_along_axis(picks, np.argsort(-scores, axis=1, kind="stable")[:, :length], True, axis=1)
    return picks


def _exact(gain: np.ndarray, value: np.ndarray, length: int, bound: float) -> np.ndarray:
    """The integer programme, solved by HiGHS."""
    n, c = gain.shape
    rows = vstack([block_diag([np.ones((1, c))] * n), csr_array(value.reshape(1, -1))], format="csr")
    limits = LinearConstraint(rows, [*[length] * n, bound], [*[length] * n, np.inf])
    solved = milp(-gain.ravel(), constraints=limits, integrality=1, bounds=(0, 1), options={"mip_rel_gap": GAP})
    if not solved.success:
        raise RuntimeError(f"HiGHS found no optimum: {solved.message}")
    return solved.x.reshape(n, c) > 0.5


def _swapped(gain: np.ndarray, value: np.ndarray, best: np.ndarray, bound: float) -> np.ndarray:
    """Each user gives up the same share of their own relevance, for the most gain: no user pays for another."""
    share = bound / value[best].sum()
    picks = np.zeros_like(best)
    for user in range(len(gain)):
        own = slice(user, user + 1)
        picks[own] = constrained(gain[own], value[own], best[user].sum(), share * value[user][best[user]].sum()).picks
    return picks
