"""The most of one thing that leaves enough of another: the dual of the constrained choice of lists, solved exactly."""

from dataclasses import dataclass

import numpy as np

ROUNDS = 60  # of the bisection
CLOSE = 1e-12  # between the two multipliers, of the larger
FAR = 1e18  # a multiplier from which on value alone decides


@dataclass(frozen=True)
class Constrained:
    """Lists of k items a user: the most ``gain`` with at least ``bound`` of ``value`` in all.

    Args:
        multiplier: what a unit of value is worth in units of gain; the score gain + multiplier x value makes the lists.
        picks: bool [n, c]: the lists of that score, but for users who are given the other list of the same worth so
            that no value is kept beyond the bound.
        gain, value: sums over the lists.
        most: an upper bound on the gain of any lists that keep the bound, whole or in part: the dual's value.
    """

    multiplier: float
    picks: np.ndarray
    gain: float
    value: float
    most: float


def constrained(gain: np.ndarray, value: np.ndarray, k: int, bound: float, *, close: float = CLOSE) -> Constrained:
    """Maximises the sum of ``gain`` over all lists, whose ``value`` must sum to ``bound`` or more.

    Lagrangian relaxation (Fisher 1981): for a multiplier each user's best list is a sort, the dual is convex in the
    multiplier, and its kink is found by bisection. At the kink some users have two lists of equal worth; they take the
    one with less value one by one, in the order of the users, as long as the bound holds. What is lost to the dual's
    bound is less than one user's difference between these two.

    Args:
        gain, value: float64 [n, c], -inf in gain where a candidate may not be taken.
        k: items of a list.
        bound: least sum of value.
        close: how far the multiplier may lie above the kink, of itself; what is lost grows with it.

    Raises:
        ValueError: if no lists reach the bound.
    """
    best = _sums(gain, value, _lists(np.where(np.isfinite(gain), value, -np.inf), k))[1].sum()
    if bound > best * (1 + 1e-12):
        raise ValueError(f"value must reach {bound:g}, but the best lists reach {best:g}")
    free = _lists(gain, k)
    total, kept = (float(each.sum()) for each in _sums(gain, value, free))
    if kept >= bound:
        return Constrained(0.0, free, total, kept, total)
    low, high = 0.0, 1.0
    while high < FAR and _value(gain, value, k, high) < bound:
        low, high = high, high * 2
    for _ in range(ROUNDS):
        if high - low <= close * high:
            break
        middle = (low + high) / 2
        low, high = (low, middle) if _value(gain, value, k, middle) >= bound else (middle, high)
    return _mended(gain, value, k, bound, low, high)


def _value(gain: np.ndarray, value: np.ndarray, k: int, multiplier: float) -> float:
    return float(_sums(gain, value, _lists(gain + multiplier * value, k))[1].sum())


def _mended(gain: np.ndarray, value: np.ndarray, k: int, bound: float, low: float, high: float) -> Constrained:
    """From the lists that keep the bound, users change to those that don't as long as it still holds."""
    kept, other = (_lists(gain + each * value, k) for each in (high, low))
    (gain_kept, value_kept), (gain_other, value_other) = (_sums(gain, value, each) for each in (kept, other))
    most = float((gain_kept + high * value_kept).sum() - high * bound)
    spare = value_kept.sum() - bound
    changing = np.flatnonzero((gain_other > gain_kept) & (value_other <= value_kept))
    picks = kept.copy()
    for user in changing:
        lost = value_kept[user] - value_other[user]
        if lost <= spare:
            spare -= lost
            picks[user] = other[user]
    total = _sums(gain, value, picks)
    return Constrained(high, picks, float(total[0].sum()), float(total[1].sum()), max(most, float(total[0].sum())))


def _lists(scores: np.ndarray, k: int) -> np.ndarray:
    """bool [n, c]: the k best of each row that are not -inf."""
    if scores.shape[1] <= k:
        return np.isfinite(scores)
    picks = np.zeros(scores.shape, bool)
    np.put_along_axis(picks, np.argpartition(-scores, k - 1, axis=1)[:, :k], True, axis=1)
    return picks & np.isfinite(scores)


def _sums(gain: np.ndarray, value: np.ndarray, picks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float64 [n] of each."""
    return np.where(picks, gain, 0.0).sum(axis=1), np.where(picks, value, 0.0).sum(axis=1)
