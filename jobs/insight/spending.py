"""What releases cost by themselves and together, and whether another one may follow.

Releases compose by adding up: rho to rho and delta to delta (Bun and Steinke, 2016), also where each is decided on when
those before are known, as long as the decision looks at their costs alone. OpenDP turns the sum into epsilon.
"""

import math
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

from pyspark.sql import DataFrame

from jobs.insight.noise import opendp
from jobs.privacy import Privacy

STEPS = 60  # of halving, in search for a rho
ROUNDING = 1e-9  # of a rho that is kept back for the last digits of its parts


@dataclass(frozen=True)
class Spent:
    """rho of zero-concentrated differential privacy, and the delta that thresholds spent beside it."""

    rho: float = 0.0
    delta: float = 0.0


def spending(released: DataFrame | None) -> dict[date, Spent]:
    """What each night of insight.released spent; the same in whatever order its rows come."""
    rows = [] if released is None else released.select("day", "rho", "delta").collect()
    nights: dict[date, list] = {}
    for row in rows:
        nights.setdefault(row["day"], []).append(row)
    return {
        day: Spent(*(math.fsum(row[name] for row in each) for name in ("rho", "delta")))
        for day, each in sorted(nights.items())
    }


def a_night(privacy: Privacy) -> Spent:
    """The most that one night spends: half of its delta on a threshold, the other half on what rho stands for."""
    return Spent(rho_of(privacy.epsilon, privacy.delta / 2), privacy.delta / 2)


def dearest(spent: dict[date, Spent], day: date, privacy: Privacy) -> Spent:
    """The costliest of all windows of ``privacy.window`` nights that ``day`` lies in, also those that end after it."""
    windows = [_together(spent, day - timedelta(days=back), privacy.window) for back in range(privacy.window)]
    return max(windows, key=lambda one: (epsilon(one, privacy.window_delta), one.rho, one.delta))


def affordable(spent: dict[date, Spent], day: date, privacy: Privacy) -> bool:
    """Whether every window that ``day`` lies in keeps its budget, if the night spends what it may."""
    after = dearest({**spent, day: a_night(privacy)}, day, privacy)
    return epsilon(after, privacy.window_delta) <= privacy.window_epsilon


def epsilon(spent: Spent, delta: float) -> float:
    """The least epsilon for which what was spent is (epsilon, delta)-differentially private; may be infinite."""
    if not spent.rho:
        return 0.0 if spent.delta <= delta else math.inf
    return _epsilon(spent.rho, delta - spent.delta) if spent.delta < delta else math.inf


@cache
def _epsilon(rho: float, delta: float) -> float:
    # one Gaussian of this scale costs rho, and what costs rho is converted alike
    dp = opendp()
    space = dp.atom_domain(T="i64"), dp.absolute_distance(T="f64")
    gaussian = dp.m.make_gaussian(*space, scale=1 / math.sqrt(2 * rho))
    return dp.c.make_zCDP_to_approxDP(gaussian).map(1.0).epsilon(delta)


@cache
def rho_of(epsilon: float, delta: float) -> float:
    """The largest rho that is (epsilon, delta)-differentially private, less ROUNDING; 0 of 0."""
    least, most = 0.0, epsilon
    for _ in range(STEPS):
        middle = (least + most) / 2
        if middle > 0 and _epsilon(middle, delta) <= epsilon:
            least = middle
        else:
            most = middle
    return least * (1 - ROUNDING)


def _together(spent: dict[date, Spent], first: date, nights: int) -> Spent:
    window = [each for day, each in spent.items() if first <= day < first + timedelta(days=nights)]
    return Spent(math.fsum(each.rho for each in window), math.fsum(each.delta for each in window))
