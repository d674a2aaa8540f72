"""A series' demand in the next 28 days, and how far the same method was off on windows that are over.

Theta (Assimakopoulos and Nikolopoulos, 2000; statsforecast) on a weekly season; where the history is short or it fails,
the mean of each weekday over the last eight weeks. Intervals are conformal: quantiles of past errors, at a level at
which the intervals of each past window, by the errors of the other windows, would have covered 90 %.
"""

import warnings
from dataclasses import dataclass

import numpy as np

HORIZON = 28  # days ahead
WEEK = 7
WINDOWS = 4  # of HORIZON days, judged by what was known before each
LEAST_HISTORY = 56  # days before a forecast by Theta; fewer go by weekdays
LATELY = 8  # weeks of weekday means
LEAST_SALES = 20  # days with a sale among those, likewise
COVERAGE = 0.9
LEVELS = np.array([*np.arange(0.005, 0.06, 0.005), *np.arange(0.06, 0.31, 0.02)])  # of each tail of past errors
SELDOM = 1.0  # units a day, under which a series calibrates with others like it
THETA, WEEKDAYS = "theta", "weekday_mean"


@dataclass(frozen=True)
class Foretold:
    """One series.

    Args:
        units: float64[HORIZON], expected for each of the next days.
        model: THETA or WEEKDAYS.
        past: float64[w, HORIZON], what would have been foretold for each of up to WINDOWS windows, the latest first.
        came: float64[w, HORIZON], what came.
        whole: whether only whole units were ever sold.
    """

    units: np.ndarray
    model: str
    past: np.ndarray
    came: np.ndarray
    whole: bool


def foretell(sold: np.ndarray) -> Foretold:
    """``sold``, float64[days]: units of each day from the first sale to the night."""
    units, model = _units(sold)
    ends = [len(sold) - HORIZON * window for window in range(1, WINDOWS + 1)]
    ends = [end for end in ends if end >= WEEK]
    past = np.array([_units(sold[:end])[0] for end in ends]).reshape(-1, HORIZON)
    came = np.array([sold[end : end + HORIZON] for end in ends]).reshape(-1, HORIZON)
    return Foretold(units, model, past, came, bool((sold == np.rint(sold)).all()))


def _units(sold: np.ndarray) -> tuple[np.ndarray, str]:
    if len(sold) >= LEAST_HISTORY and (sold > 0).sum() >= LEAST_SALES:
        theta = _theta(sold)
        if theta is not None:
            return theta, THETA
    return by_weekday(sold), WEEKDAYS


def by_weekday(sold: np.ndarray) -> np.ndarray:
    """float64[HORIZON]: each weekday's mean over the last LATELY weeks, or as many days as there are."""
    lately = sold[-LATELY * WEEK :]
    weekday = np.arange(-len(lately), 0) % WEEK
    counts = np.bincount(weekday, minlength=WEEK)
    means = np.bincount(weekday, lately, minlength=WEEK) / np.maximum(counts, 1)
    means[counts == 0] = lately.mean()
    return means[np.arange(HORIZON) % WEEK]


def _theta(sold: np.ndarray) -> np.ndarray | None:
    from statsforecast.models import Theta

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            told = Theta(season_length=WEEK).forecast(y=sold, h=HORIZON)["mean"]
        except (ValueError, ZeroDivisionError, FloatingPointError, IndexError):  # a series that has no such form
            return None
    return np.maximum(told, 0) if np.isfinite(told).all() else None


def level(series: list[Foretold]) -> float:
    """The share of past errors to leave out at each end, that past windows of all these series would be covered.

    The largest of LEVELS at which COVERAGE of the days lay within; the smallest where none is enough.
    """
    judged = [one for one in series if len(one.past) > 1]
    if not judged:
        return (1 - COVERAGE) / 2
    covered = np.zeros(len(LEVELS))
    days = 0
    for one in judged:
        for window in range(len(one.past)):
            others = _errors(one)[np.arange(len(one.past)) != window]
            low, high = _bounds(one.past[window], others, LEVELS, one.whole)
            covered += ((one.came[window] >= low) & (one.came[window] <= high)).sum(1)
            days += HORIZON
    enough = np.flatnonzero(covered >= COVERAGE * days)
    return float(LEVELS[enough[-1]] if len(enough) else LEVELS[0])


def interval(one: Foretold, level: float) -> tuple[np.ndarray, np.ndarray] | None:
    """float64[HORIZON] twice: below and above the forecast; None for a series without a past window to judge it by."""
    if not len(one.past):
        return None
    low, high = _bounds(one.units, _errors(one), np.array([level]), one.whole)
    return np.minimum(low[0], one.units), np.maximum(high[0], one.units)


def seldom(one: Foretold) -> bool:
    """Whether the series sells too little for its errors to look like those of others."""
    return bool(one.units.mean() < SELDOM)


def _errors(one: Foretold) -> np.ndarray:
    """float64[w, HORIZON]: past errors over the root of what was foretold, as counts spread."""
    return (one.came - one.past) / np.sqrt(one.past + 0.25)


def _bounds(units: np.ndarray, errors: np.ndarray, levels: np.ndarray, whole: bool) -> tuple[np.ndarray, np.ndarray]:
    """float64[levels, HORIZON] twice. Of whole units the bounds are whole: nothing can lie between."""
    spread = np.sqrt(units + 0.25)
    low, high = (units + np.quantile(errors, each)[:, None] * spread for each in (levels, 1 - levels))
    low, high = np.maximum(low, 0), np.maximum(high, 0)
    return (np.floor(low), np.ceil(high)) if whole else (low, high)
