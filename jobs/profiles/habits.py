"""A customer's own rhythm: how steadily they come, and when they are likely to come next."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from jobs.profiles.visits import Visits

WEEKS = 26  # of loyalty
LEAST_SPREAD = 0.1  # of logarithms of gaps: nobody keeps the day more exactly than to a tenth
PRIOR_SPREAD = 5.0  # gaps that everybody's spread counts for
PRIOR_GAPS = (0.5, 20.0)  # gaps that everybody's mean counts for, at least and at most
FAR = 30.0  # spreads beyond which the normal distribution's tail is taken from its expansion


def loyalty(seen: Visits, day: int) -> np.ndarray:
    """float64[n], 0 to 1: of the last WEEKS weeks up to ``day``, the share that saw a purchase."""
    week = (day - seen.days) // 7
    within = seen.bought & (week >= 0) & (week < WEEKS)
    pairs = np.unique(seen.users[within] * WEEKS + week[within])
    return np.bincount(pairs // WEEKS, minlength=len(seen)) / WEEKS


@dataclass(frozen=True)
class Rhythm:
    """What all customers' gaps between days with a purchase look like, in logarithms of days.

    Args:
        mean, spread: of all gaps; the spread is that within a customer.
        weight: gaps of one's own that everybody's mean counts for: variance within customers over that between them.
    """

    mean: float
    spread: float
    weight: float

    @classmethod
    def of(cls, seen: Visits) -> "Rhythm | None":
        """By the gaps of these customers, in their order; None if nobody came back."""
        users, gaps = _gaps(seen)
        if not len(gaps):
            return None
        counts = np.bincount(users, minlength=len(seen))
        own = np.bincount(users, gaps, minlength=len(seen)) / np.maximum(counts, 1)
        several = int((counts > 1).sum())
        free = len(gaps) - int((counts > 0).sum())
        within = ((gaps - own[users]) ** 2).sum() / free if free else 0.0
        within = max(within, LEAST_SPREAD**2)
        means = own[counts > 1]
        between = means.var() - within * (1 / counts[counts > 1]).mean() if several > 1 else 0.0
        weight = np.clip(within / max(between, 1e-9), *PRIOR_GAPS)
        return cls(float(gaps.mean()), float(np.sqrt(within)), float(weight))

    def waits(self, seen: Visits, day: int) -> np.ndarray:
        """float64[n]: days from ``day`` until a purchase is as likely to have come as not, at least 1.

        A gap's logarithm is normal about the customer's mean, shrunk to everybody's; the days that have passed since
        the last purchase without another count: it is the median of a gap that is known to be longer.
        """
        users, gaps = _gaps(seen)
        counts = np.bincount(users, minlength=len(seen))
        mean = (np.bincount(users, gaps, minlength=len(seen)) + self.weight * self.mean) / (counts + self.weight)
        apart = np.bincount(users, (gaps - mean[users]) ** 2, minlength=len(seen))
        spread = np.sqrt((apart + PRIOR_SPREAD * self.spread**2) / (counts + PRIOR_SPREAD))
        bought = seen.where(seen.bought)
        passed = day - bought.days[bought.offsets[1:] - 1]
        beyond = (np.log(passed + 0.5) - mean) / spread
        return np.maximum(np.exp(mean + spread * _halfway(beyond)) - passed, 1.0)


def _gaps(seen: Visits) -> tuple[np.ndarray, np.ndarray]:
    """Of each two purchase days that follow each other, the user and the logarithm of the days between."""
    bought = seen.where(seen.bought)
    users = bought.users
    same = users[1:] == users[:-1]
    return users[1:][same], np.log(np.diff(bought.days)[same])


def _halfway(z: np.ndarray) -> np.ndarray:
    """float64[n]: where half of the standard normal distribution's tail above ``z`` is passed."""
    near = np.minimum(z, FAR)
    tail = -ndtri(0.5 * ndtr(-near))
    return np.where(z < FAR, tail, z + np.log(2) / np.maximum(z, FAR))
