"""How often and for how much customers will come back: BG/NBD for visits, gamma-gamma for money.

BG/NBD: Fader, Hardie and Lee, "Counting Your Customers" the Easy Way, Marketing Science 24 (2005). Gamma-gamma: Fader
and Hardie, The Gamma-Gamma Model of Monetary Value (2013). PyMC-Marketing fits both, to a bounded sample of customers;
the closed forms below cost microseconds a customer.
"""

import logging
from dataclasses import dataclass

import numpy as np
from scipy.special import hyp2f1

from jobs.profiles.visits import Summary

log = logging.getLogger(__name__)

FEWEST = 50  # customers who came back; fewer say little about how customers differ
MONTHS, MONTH = 12, 365 / 12  # the horizon of lifetime value is a year, discounted month by month
DISCOUNT = 0.10  # a year
NEAR_ONE = 1e-6  # the expectation's form has a removable gap at a = 1


@dataclass(frozen=True)
class Visiting:
    """BG/NBD: purchase rates are gamma(r, alpha), dropping out after a purchase has probability beta(a, b)."""

    r: float
    alpha: float
    a: float
    b: float

    def p_alive(self, known: Summary) -> np.ndarray:
        """float64[n]: probability that a customer has not dropped out for good; 1 before the first repeat."""
        return 1 / (1 + self._gone(known))

    def visits(self, known: Summary, days: float) -> np.ndarray:
        """float64[n]: expected days with a purchase in the next ``days``; equation 10 of the paper.

        With Euler's transformation of the hypergeometric function, whose parameters stay small for busy customers.
        """
        a = self.a if abs(self.a - 1) > NEAR_ONE else 1 + NEAR_ONE
        x, b, whole = known.repeats, self.b, self.alpha + known.age + days
        z = days / whole
        series = hyp2f1(a + b - 1 - self.r, a - 1, a + b + x - 1, z)
        made = (a + b + x - 1) / (a - 1) * (1 - (1 - z) ** (a - 1) * series)
        return np.maximum(made, 0) / (1 + self._gone(known))

    def _gone(self, known: Summary) -> np.ndarray:
        """Odds of having dropped out."""
        x = known.repeats
        waited = np.log((self.alpha + known.age) / (self.alpha + known.recency))
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            odds = self.a / (self.b + x - 1) * np.exp((self.r + x) * waited)
        return np.where(x > 0, odds, 0.0)


@dataclass(frozen=True)
class Spending:
    """Gamma-gamma: money of a visit is gamma(p, nu), nu itself gamma(q, v)."""

    p: float
    q: float
    v: float

    def mean(self, known: Summary) -> np.ndarray:
        """float64[n]: expected money of a visit; everybody's mean where a customer has no repeat visit yet."""
        x = np.where(np.isnan(known.spend), 0, known.repeats)
        return self.p * (self.v + x * np.nan_to_num(known.spend)) / (self.p * x + self.q - 1)


@dataclass(frozen=True)
class Lifetime:
    """Both models; ``spending`` is None where the source tells no amounts, or too few."""

    visiting: Visiting
    spending: Spending | None

    def value(self, known: Summary) -> np.ndarray:
        """float64[n]: money expected over the next year, each month's at its end, discounted by DISCOUNT a year."""
        upto = np.stack([self.visiting.visits(known, month * MONTH) for month in range(MONTHS + 1)])
        discounted = np.diff(upto, axis=0) / (1 + DISCOUNT) ** (np.arange(1, MONTHS + 1) / MONTHS)[:, None]
        return discounted.sum(0) * self.spending.mean(known)


def fit(known: Summary) -> Lifetime | None:
    """The two models of these customers by MAP; None, with a line in the log, where they can't be told apart.

    The same customers in the same order give the same models.
    """
    came_back = int((known.repeats > 0).sum())
    if came_back < FEWEST:
        log.warning("profiles.customers: %d customers came back, BG/NBD needs %d: no lifetime value", came_back, FEWEST)
        return None
    if not (np.ptp(known.repeats) and np.ptp(known.age)):
        log.warning("profiles.customers: all customers are alike, so BG/NBD can't be fitted: no lifetime value")
        return None
    from pymc_marketing.clv import BetaGeoModel, GammaGammaModel  # seconds, which only this job pays

    told = _map(BetaGeoModel, frequency=known.repeats, recency=known.recency, T=known.age)
    visiting = Visiting(**{name: told[name] for name in ("r", "alpha", "a", "b")}) if told else None
    if visiting is None:
        return None
    paid = known[(known.repeats > 0) & (np.nan_to_num(known.spend) > 0)]
    if len(paid.spend) < FEWEST or not np.ptp(paid.spend):
        log.warning(
            "profiles.customers: %d customers came back with amounts that differ, gamma-gamma needs %d: no money "
            "expected",
            len(paid.spend), FEWEST,
        )  # fmt: skip
        return Lifetime(visiting, None)
    told = _map(GammaGammaModel, frequency=paid.repeats, monetary_value=paid.spend)
    if not told or told["q"] <= 1:  # then the mean of all customers has no bound
        log.warning("profiles.customers: gamma-gamma does not fit these amounts (%s): no money expected", told)
        return Lifetime(visiting, None)
    return Lifetime(visiting, Spending(**{name: told[name] for name in ("p", "q", "v")}))


def _map(model: type, **columns: np.ndarray) -> dict[str, float] | None:
    """The model's most probable parameters by name; None, with a line in the log, where none are found."""
    import pandas as pd
    import pytensor

    rows = pd.DataFrame({name: values.astype(np.float64) for name, values in columns.items()})
    rows.insert(0, "customer_id", np.arange(len(rows)))
    # compiling the model to C or Numba takes a minute, which a fit of some thousand rows never earns back
    with pytensor.config.change_flags(mode="FAST_COMPILE"):
        try:
            found = model(rows).fit(method="map", progressbar=False).posterior
        except (ValueError, FloatingPointError, RuntimeError) as error:
            log.warning("profiles.customers: %s could not be fitted: %s", model.__name__, str(error).split("\n")[0])
            return None
    told = {str(name): float(found[name].squeeze()) for name in found.data_vars}
    if not all(np.isfinite(value) for value in told.values()):
        log.warning("profiles.customers: %s has no finite parameters: %s", model.__name__, told)
        return None
    return told
