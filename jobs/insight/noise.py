"""Noise that hides any one user, drawn by OpenDP: cryptographic and without a seed, so never twice the same.

Privacy is reckoned as zero-concentrated differential privacy (zCDP; Bun and Steinke, 2016): figures that one user
changes by at most ``bound``, with discrete Gaussian noise (Canonne, Kamath and Steinke, 2020) of standard deviation
``scale``, cost rho = bound² / (2 scale²).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np

WIDEST = 40  # scales of a threshold: no delta asks for more


@dataclass(frozen=True)
class Noisy:
    """Figures with noise, and what they cost.

    Args:
        figures: int64[n], or by key.
        scale: standard deviation of the noise.
        rho, delta: spent, as OpenDP states them.
        threshold: figures below it were left out; None where there is none.
    """

    figures: np.ndarray | dict[str, int]
    scale: float
    rho: float
    delta: float = 0.0
    threshold: float | None = None


@cache
def opendp() -> ModuleType:
    # seconds that whoever only looks at a job needn't wait
    import opendp.prelude as dp

    dp.enable_features("contrib")
    return dp


def gaussian(figures: np.ndarray, bound: float, rho: float) -> Noisy:
    """Noise on figures whose places anybody knows.

    Args:
        figures: int64[n].
        bound: how far, in the Euclidean norm, one user may change them.
        rho: to spend.
    """
    dp = opendp()
    scale = bound / math.sqrt(2 * rho)
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    measurement = dp.m.make_gaussian(*space, scale=scale)
    drawn = measurement(figures.tolist()) if len(figures) else []
    return Noisy(np.array(drawn, dtype=np.int64), scale, measurement.map(bound))


def thresholded(people: Mapping[str, int], rho: float, delta: float) -> Noisy:
    """Noise on counts whose keys may themselves betray somebody, of users who count for one key each.

    A key that one user alone has is told with a probability of at most ``delta``: those whose noisy count is below a
    threshold are left out (Rogers, 2023).
    """
    dp = opendp()
    scale = 1 / math.sqrt(2 * rho)
    space = (
        dp.map_domain(dp.atom_domain(T=str), dp.atom_domain(T="i64")),
        dp.l02inf_distance(dp.absolute_distance(T="f64")),
    )
    one_user = (1, 1.0, 1.0)  # keys, Euclidean norm and largest change

    def measurement(threshold: int):
        return dp.m.make_gaussian_threshold(*space, scale=scale, threshold=threshold)

    threshold = dp.binary_search(
        lambda threshold: measurement(threshold).map(one_user)[1] <= delta, bounds=(1, math.ceil(WIDEST * scale) + 2)
    )
    spent = measurement(threshold).map(one_user)
    return Noisy(measurement(threshold)(dict(people)), scale, *spent, float(threshold))
