"""Noise has the scale that its price promises. A figure strays beyond six deviations twice in 10^9 draws."""

import numpy as np
import pytest
from scipy.stats import norm

from jobs.insight.noise import gaussian, thresholded


def test_noise_is_as_wide_as_bound_and_rho_say():
    """3² / (2 · 30²) is 0.005. The mean of n draws strays by 30 / √n, their deviation by 30 / √(2n)."""
    n = 20_000
    noisy = gaussian(np.full(n, 1000), bound=3.0, rho=0.005)
    assert noisy.scale == pytest.approx(30)
    assert noisy.rho == pytest.approx(0.005)
    off = noisy.figures - 1000
    assert abs(off.mean()) < 6 * 30 / np.sqrt(n)
    assert abs(off.std() - 30) < 6 * 30 / np.sqrt(2 * n)
    assert not np.array_equal(gaussian(np.full(n, 1000), bound=3.0, rho=0.005).figures, noisy.figures)


def test_a_key_of_one_user_is_told_less_often_than_delta():
    """The threshold is the first at which the noise of one user's count of 1 reaches it with less than delta."""
    noisy = thresholded({"35-44": 10_000, "98": 1}, rho=0.01, delta=1e-9)
    assert set(noisy.figures) == {"35-44"}
    assert abs(noisy.figures["35-44"] - 10_000) < 6 * noisy.scale
    assert (noisy.scale, noisy.rho) == (pytest.approx(1 / np.sqrt(0.02)), pytest.approx(0.01))
    assert 0 < noisy.delta <= 1e-9
    away = (noisy.threshold - 1) / noisy.scale
    assert norm.sf(away) <= 1.1e-9 < norm.sf(away - 2 / noisy.scale)
    assert thresholded({}, rho=0.01, delta=1e-9).figures == {}
