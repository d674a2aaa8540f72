"""Lists whose categories have the shares of the user's history (Steck, Calibrated Recommendations, RecSys 2018)."""

from dataclasses import dataclass

import numpy as np

from jobs.ranking.topk import require_finite

SMOOTHED = 0.01  # Steck's alpha: so much of the history's share is mixed into the list's, which is 0 at first


@dataclass(frozen=True)
class Calibration:
    """A term of the greedy choice: -weight x KL(history's shares || list's shares with the candidate in it).

    Args:
        groups: int64 [n, c], the category of each candidate, a column of ``shares``; -1 for none of them. Categories
            may be numbered anew for each user.
        shares: float64 [n, g], what part of the user's history each category has; a row sums to 1, or is 0 for a user
            without a history, whose list is not calibrated.
        weight: float64 [n], not negative: what a nat of divergence costs. It is log(1 / 0.01) = 4.6 at most.
    """

    groups: np.ndarray
    shares: np.ndarray
    weight: np.ndarray

    def of(self, rows: np.ndarray | slice) -> "Calibration":
        """The calibration of some users."""
        return Calibration(self.groups[rows], self.shares[rows], self.weight[rows])

    def check(self, shape: tuple[int, int]) -> None:
        """Raises ValueError if it doesn't fit base scores of this shape, or shares are none."""
        if self.groups.shape != shape or self.shares.shape[:1] != shape[:1] or self.weight.shape != shape[:1]:
            raise ValueError(
                f"calibration has groups {self.groups.shape}, shares {self.shares.shape} and weight "
                f"{self.weight.shape}; for base {shape} they must be {shape}, ({shape[0]}, g) and ({shape[0]},)"
            )
        require_finite("calibration.shares", self.shares)
        require_finite("calibration.weight", self.weight)
        if (self.weight < 0).any():
            user = int(np.argmax(self.weight < 0))
            raise ValueError(f"calibration.weight[{user}] is {self.weight[user]}; it must not be negative")
        sums = self.shares.sum(axis=1)
        wrong = (self.shares < 0).any(axis=1) | ((sums != 0) & (np.abs(sums - 1) > 1e-6))
        if wrong.any():
            user = int(np.argmax(wrong))
            raise ValueError(
                f"calibration.shares[{user}] is {self.shares[user].tolist()}; shares must not be negative and must sum "
                "to 1, or all be 0"
            )
        outside = (self.groups < -1) | (self.groups >= self.shares.shape[1])
        if outside.any():
            user, place = (int(axis) for axis in np.argwhere(outside)[0])
            raise ValueError(
                f"calibration.groups[{user}, {place}] is {self.groups[user, place]}; it must be a column of shares, "
                f"0 to {self.shares.shape[1] - 1}, or -1"
            )


class Penalty:
    """weight x divergence for the candidates of n users while their lists grow.

    Every sum runs in the order of the categories, and a category that the history lacks adds 0: neither other users nor
    empty columns move a bit.
    """

    def __init__(self, calibration: Calibration):
        self._groups, self._shares = calibration.groups, calibration.shares
        self._weight = calibration.weight[:, None].astype(np.float64)
        self._counts = np.zeros(self._shares.shape)
        self._chosen = np.zeros((len(self._groups), 1))
        self._own = _in_order(_times_log(self._shares, self._shares))[:, None]
        self.largest = calibration.weight * -np.log(SMOOTHED)

    def costs(self) -> np.ndarray:
        """float64 [n, c]: what each candidate would cost at the next rank."""
        more = (1 - SMOOTHED) / (self._chosen + 1)
        without = _times_log(self._shares, more * self._counts + SMOOTHED * self._shares)
        added = _times_log(self._shares, more * (self._counts + 1) + SMOOTHED * self._shares) - without
        none = self._own - _in_order(without)[:, None]
        # the last column, which is also -1, is for a candidate of no category
        divergence = np.concatenate([none - added, none], axis=1)
        return self._weight * np.take_along_axis(divergence, self._groups % divergence.shape[1], axis=1)

    def take(self, picks: np.ndarray, found: np.ndarray) -> None:
        """What was picked, int64 [n], where found joins the lists."""
        users = np.flatnonzero(found)
        group = self._groups[users, picks[users]]
        self._chosen[users] += 1
        self._counts[users[group >= 0], group[group >= 0]] += 1


def _times_log(shares: np.ndarray, values: np.ndarray) -> np.ndarray:
    """shares x log(values), 0 where the share is."""
    return shares * np.log(np.where(shares > 0, values, 1.0))


def _in_order(values: np.ndarray) -> np.ndarray:
    """The sum of each row from left to right: NumPy's own depends on how long the row is."""
    return np.add.accumulate(values, axis=1)[:, -1] if values.shape[1] else np.zeros(len(values))
