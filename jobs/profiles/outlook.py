"""What the next 90 days will bring, by three views of a customer weighed by how well they foretold the last 90.

BG/NBD knows all of a customer's past alike; a rate that forgets, and the last four weeks, follow who comes more or less
often than before. The weights are non-negative least squares on the 90 days up to the night, of views from before them.
"""

import logging
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from jobs.profiles.churn import bought_lately
from jobs.profiles.lifetime import Lifetime, fit
from jobs.profiles.visits import Visits, summary

log = logging.getLogger(__name__)

HORIZON = 90  # days
HALF_LIFE = 45  # days, of the rate that forgets
LATELY = 28  # days
ALONE = (1.0, 0.0, 0.0)  # BG/NBD as it is, where the shop is too young for another judgement


@dataclass(frozen=True)
class Outlook:
    """The models of the night, and the weights of the three views of visits and of money."""

    lifetime: Lifetime
    of_visits: tuple[float, ...] = ALONE
    of_spend: tuple[float, ...] = ALONE

    def visits(self, seen: Visits, day: int) -> np.ndarray:
        """float64[n]: expected days with a purchase in the HORIZON days after ``day``."""
        return _visits(self.lifetime, seen, day) @ np.array(self.of_visits)

    def spend(self, seen: Visits, day: int) -> np.ndarray:
        """float64[n]: expected money of these days; needs ``lifetime.spending``."""
        return _spend(self.lifetime, seen, day) @ np.array(self.of_spend)


def look(seen: Visits, day: int) -> Outlook | None:
    """The outlook by these customers, in this order; None where BG/NBD can't be fitted."""
    lifetime = fit(summary(seen, day))
    cut = day - HORIZON
    if lifetime is None or cut - int(seen.days.min()) < HORIZON:
        return None if lifetime is None else Outlook(lifetime)
    who = seen.upto(cut).counts(0, cut) > 0
    known = seen.upto(cut).only(who)
    earlier = fit(summary(known, cut))
    if earlier is None:
        return Outlook(lifetime)
    came, paid = seen.only(who).counts(cut + 1, day), seen.only(who).spent(cut + 1, day)
    of_visits = _weights(_visits(earlier, known, cut), came)
    both = lifetime.spending is not None and earlier.spending is not None
    of_spend = _weights(_spend(earlier, known, cut), np.maximum(paid, 0)) if both else ALONE
    log.info("profiles.customers: weights of BG/NBD, of a rate that forgets, of four weeks: visits %s, spend %s",
             *(tuple(round(weight, 3) for weight in each) for each in (of_visits, of_spend)))  # fmt: skip
    return Outlook(lifetime, of_visits, of_spend)


def _weights(views: np.ndarray, came_true: np.ndarray) -> tuple[float, ...]:
    weights, _ = nnls(views, came_true.astype(np.float64))
    return tuple(map(float, weights)) if weights.any() else ALONE


def _visits(lifetime: Lifetime, seen: Visits, day: int) -> np.ndarray:
    """float64[n, 3]: the three views."""
    known, prior = summary(seen, day), (lifetime.visiting.r, lifetime.visiting.alpha)
    forgetting = bought_lately(seen, day, HALF_LIFE, prior) * HORIZON
    lately = seen.counts(day - LATELY + 1, day) * (HORIZON / LATELY)
    return np.stack([lifetime.visiting.visits(known, HORIZON), forgetting, lately], axis=1)


def _spend(lifetime: Lifetime, seen: Visits, day: int) -> np.ndarray:
    """float64[n, 3]: the first two views of visits at the customer's expected money, and the money of four weeks."""
    views = _visits(lifetime, seen, day) * lifetime.spending.mean(summary(seen, day))[:, None]
    views[:, 2] = np.maximum(seen.spent(day - LATELY + 1, day), 0) * (HORIZON / LATELY)
    return views
