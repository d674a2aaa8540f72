"""Cosines that come out the same whatever else is computed beside them, in whatever order a BLAS adds.

Every component is rounded to a multiple of 2^-26. A product of two is then a multiple of 2^-52, and so is a sum; the
absolute values of the terms of one inner product add up to less than 2 (Cauchy and Schwarz, lengths of 1), so float64
holds every sum in between without rounding. What the rounding of components moves is less than float32 would err.
"""

import numpy as np

from jobs.ranking.topk import require_finite

STEP = 2.0**-26
SHIFT = 1.5 * 2**52 * STEP  # float64 of this size are multiples of STEP: to add and subtract it rounds
LENGTH_ERR = 1e-3  # of a squared length from 1: float32 rounds to a thousandth of that


def on_grid(values: np.ndarray) -> np.ndarray:
    """float64 of the same shape, each value, of less than 2^24, rounded to a multiple of 2^-26; halves to even ones."""
    rounded = values.astype(np.float64)
    rounded += SHIFT
    rounded -= SHIFT
    return rounded


def squared_lengths(vectors: np.ndarray) -> np.ndarray:
    """float32 [n, c] of float32 [n, c, d].

    Raises:
        ValueError: if a value is not finite, or a vector's length neither 1 nor 0.
    """
    lengths = np.einsum("ncd,ncd->nc", vectors, vectors)
    good = (lengths == 0) | (np.abs(lengths - 1) <= LENGTH_ERR)
    if not good.all():
        require_finite("vectors", vectors)
        place = tuple(int(axis) for axis in np.argwhere(~good)[0])
        raise ValueError(
            f"vectors{list(place)} has length {np.sqrt(lengths[place]):.6g}; it must be 1 or 0: divide by the length"
        )
    return lengths


def rough_error(lengths: np.ndarray, dim: int) -> np.ndarray:
    """float64 [n]: how far a float32 inner product of two of a user's vectors may lie from the exact one, cut to +-1.

    |fl(x'y) - x'y| <= d u / (1 - d u) |x||y| with u = 2^-24 (Higham, Accuracy and Stability of Numerical Algorithms,
    2002, section 3.1); rounding to the grid moves |x| by sqrt(d) 2^-27 at most; and what exceeds 1 is cut.
    """
    longest = lengths.max(axis=1, initial=0.0).astype(np.float64) * (1 + (dim + 2) * 2.0**-24)
    rounding = (dim + 2) * 2.0**-24 / (1 - (dim + 2) * 2.0**-24)
    moved = 1.01 * np.sqrt(dim) * STEP
    return np.where(longest > 0, rounding * longest + moved + np.maximum(longest - 1, 0), 0.0)


def unlike_above(vectors: np.ndarray) -> np.ndarray:
    """float64 [n, k]: 1 - the largest cosine to those further up, in [0, 2]; 1 for the first of float32 [n, k, d]."""
    exact = on_grid(vectors)
    cosines = exact @ exact.swapaxes(1, 2)
    cosines += np.where(np.tri(vectors.shape[1], dtype=bool), -np.inf, 0)  # to itself and those further down
    largest = cosines.max(axis=1, initial=-np.inf)  # rows lie in memory one after the other: a maximum of whole rows
    largest[:, :1] = 0
    return (1 - largest).clip(0, 2)
