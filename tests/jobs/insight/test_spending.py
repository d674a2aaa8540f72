"""What nights of releases cost together, and when the next one would cost too much."""

import math
from datetime import date, timedelta

import numpy as np
import pytest

from jobs.insight.spending import Spent, a_night, affordable, dearest, epsilon, rho_of
from jobs.privacy import Privacy

FIRST = date(2024, 3, 1)


def day(n):
    return FIRST + timedelta(days=n)


def by_moments(rho, delta):
    """Canonne, Kamath and Steinke (2020), corollary 13, over a grid of orders."""
    order = 1 + np.logspace(-3, 4, 200_000)
    return np.min(rho * order + (np.log(1 / (order * delta)) + (order - 1) * np.log1p(-1 / order)) / (order - 1))


@pytest.mark.parametrize(("rho", "delta"), [(0.0165, 5e-9), (0.5, 1e-6), (4.0, 1e-5)])
def test_epsilon_is_that_of_the_literature_less_what_thresholds_spent(rho, delta):
    assert epsilon(Spent(rho), delta) == pytest.approx(by_moments(rho, delta), rel=1e-4)
    assert epsilon(Spent(rho, delta / 2), delta) == epsilon(Spent(rho), delta / 2)
    assert epsilon(Spent(rho, delta), delta) == math.inf
    assert epsilon(Spent(), delta) == 0


def test_a_night_spends_what_is_set_and_no_more():
    privacy = Privacy(epsilon=1.0, delta=1e-8)
    night = a_night(privacy)
    assert night.delta == 5e-9
    assert 1 - 1e-6 < epsilon(night, 1e-8) <= 1
    assert rho_of(0.0, 1e-8) == 0


def test_costs_add_up_within_the_costliest_window_that_holds_the_night():
    """Windows of two nights; doubles that add up to 0.6 only if they are rounded once."""
    privacy, least = Privacy(window=2), 2.0**-30
    spent = {day(0): Spent(9.0, least), day(2): Spent(0.1), day(3): Spent(0.2, least), day(4): Spent(0.3, 2 * least)}
    assert dearest(spent, day(2), privacy) == Spent(0.1 + 0.2, least)
    assert dearest(spent, day(3), privacy) == Spent(0.5, 3 * least)  # with the night after it
    assert dearest(spent, day(4), privacy) == Spent(0.5, 3 * least)
    assert dearest(spent, day(9), privacy) == Spent()
    assert dearest(spent, day(3), Privacy(window=3)) == Spent(0.6, 3 * least)


def test_nights_are_released_until_the_budget_is_spent_and_again_when_the_window_has_moved_on():
    """A window of five nights that three can be paid from: each night costs as much, to the last digit."""
    one = Privacy(window=5)
    three = epsilon(Spent(3 * a_night(one).rho, 3 * a_night(one).delta), one.window_delta)
    four = epsilon(Spent(4 * a_night(one).rho, 4 * a_night(one).delta), one.window_delta)
    privacy = Privacy(window=5, window_epsilon=(three + four) / 2)
    spent = {}
    for n in range(13):
        if affordable(spent, day(n), privacy):
            spent[day(n)] = a_night(privacy)
    assert sorted(spent) == [day(n) for n in (0, 1, 2, 5, 6, 7, 10, 11, 12)]
    assert dearest(spent, day(7), privacy) == Spent(*(math.fsum([each] * 3) for each in (a_night(privacy).rho, 5e-9)))
    # a night that was left out can't be caught up: it would lie in windows that are full
    assert not affordable(spent, day(3), privacy)
    assert affordable({each: spent[each] for each in (day(0), day(1), day(6))}, day(3), privacy)
