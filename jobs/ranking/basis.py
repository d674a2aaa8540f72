"""What vectors have outside of others: an orthonormal basis that comes out the same whatever is computed beside it."""

import numpy as np

from jobs.ranking.cosines import on_grid

SHORT = 0.1  # of a length of 1: what is left of a vector that is to be taken apart twice


def left(inside: np.ndarray) -> np.ndarray:
    """float64 [n]: 1 less the squares of float64 [n, k], one after the other."""
    steps = np.empty((inside.shape[1] + 1, len(inside)))
    steps[0] = 1
    np.square(inside.T, out=steps[1:])
    return np.subtract.reduce(steps, axis=0)


def direction(vectors: np.ndarray, basis: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """float64 [n, d], what vectors [n, d] have outside of the basis [n, k, d], of length 1; or zero.

    Where little is left, much of it is rounding, so it is taken once more: then twice is enough (Giraud et al.,
    Numerische Mathematik 2005). All factors lie on the grid of :mod:`jobs.ranking.cosines`, so that the other users of
    a batch don't matter.

    Args:
        inside: float64 [n, k], the vectors' products with the basis.
    """
    rest, length = _outside(vectors, basis, inside)
    again = np.flatnonzero(length < SHORT)
    if len(again):
        rest[again] = _outside(rest[again], basis[again], np.matvec(basis[again], rest[again]))[0]
    return rest


def _outside(vectors: np.ndarray, basis: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rest of vectors [n, d] without what is inside of the basis, of length 1, and its length [n] before."""
    rest = vectors - np.vecmat(on_grid(inside), basis)
    near = on_grid(rest)  # so that a sum of squares comes out the same in any order
    length = np.sqrt(np.vecdot(near, near))
    each = length[:, None]
    return on_grid(np.divide(rest, each, out=np.zeros(rest.shape), where=each > 0)), length
