"""Epsilon, where it is known exactly, and as Opacus's own accountants count it."""

from math import exp, inf, sqrt

import pytest
from opacus.accountants import PRVAccountant, RDPAccountant
from scipy.optimize import brentq
from scipy.stats import norm

from training.accounting import Guarantee, spent
from training.parts import Privacy


def test_everybody_in_every_step_is_one_gaussian_mechanism():
    """Of noise s in T steps it is one with mu = sqrt(T) / s, whose delta is known (Balle and Wang 2018, theorem 8)."""
    noise, steps, delta = 4.0, 16, 1e-5
    mu = sqrt(steps) / noise

    def exact(epsilon: float) -> float:
        return norm.cdf(mu / 2 - epsilon / mu) - exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu) - delta

    assert spent(noise, 1.0, steps, delta) == pytest.approx(brentq(exact, 0, 20), rel=0.01)


def test_it_is_opacus_count_of_the_same_steps():
    prv, rdp = PRVAccountant(), RDPAccountant()
    for accountant in (prv, rdp):
        for _ in range(60):
            accountant.step(noise_multiplier=1.1, sample_rate=0.05)
    found = spent(1.1, 0.05, 60, 1e-5)
    assert found == prv.get_epsilon(1e-5)
    assert 0.8 * rdp.get_epsilon(1e-5) < found < rdp.get_epsilon(1e-5)


def test_a_plan_gets_the_noise_that_it_needs():
    promised = Guarantee.of(Privacy(epsilon=3.0, delta=1e-4, clip=0.5), expected=100, users=2000, steps=60)
    assert (promised.sample_rate, promised.clip, promised.steps, promised.users) == (0.05, 0.5, 60, 2000)
    assert 2.98 < promised.epsilon <= 3.0
    assert promised.after(60) == promised.epsilon
    assert 0 < promised.after(20) < promised.epsilon
    assert spent(0.99 * promised.noise_multiplier, 0.05, 60, 1e-4) > 3.0


def test_no_noise_promises_nothing():
    without = Guarantee.of(Privacy(epsilon=inf), expected=10, users=5, steps=3)
    assert (without.epsilon, without.noise_multiplier, without.sample_rate) == (inf, 0.0, 1.0)
    assert without.after(1) == inf


def test_a_delta_that_one_user_is_given_away_by():
    with pytest.raises(ValueError, match=r"delta is 0\.001 with 1,000 users; it must be well below 1 / users"):
        Guarantee.of(Privacy(delta=1e-3), expected=10, users=1000, steps=3)
