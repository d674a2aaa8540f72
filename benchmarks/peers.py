"""Neighbourhood models that a recommender of repeat purchases has to beat, as their papers describe them.

Popularity and each user's most bought items are in ``training.baselines``, as the judge uses them every night.

Each is a function (histories before the cut, number of items, the cut, ...) -> scores of a block of users; positions as
in ``training.data``. All rank the whole catalogue.
"""

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_matrix

from training.data import Histories

Scores = Callable[[np.ndarray], np.ndarray]  # int64[B] users -> float32[B, items]


def item_knn(seen: Histories, items: int, cut: float, neighbours: int = 100, shrink: float = 10.0) -> Scores:
    """Cosine of items over users with shrinkage, the nearest ``neighbours`` of each (Sarwar et al. 2001)."""
    taken = _matrix(seen, items, np.ones(len(seen.items)))
    taken.data[:] = 1
    size = np.sqrt(np.asarray(taken.sum(0)).ravel())
    near = (taken.T @ taken).tocsr()
    near.setdiag(0)
    left = np.repeat(size, np.diff(near.indptr))
    near.data = near.data / (left * size[near.indices] + shrink)
    near = _largest(near, neighbours)
    return lambda users: (taken[users] @ near).toarray().astype(np.float32)


def tifu_knn(
    seen: Histories,
    items: int,
    cut: float,
    *,
    neighbours: int = 300,
    groups: int = 7,
    within: float = 0.9,
    across: float = 0.7,
    own: float = 0.7,
) -> Scores:
    """TIFU-KNN (Hu et al., SIGIR 2020): baskets decayed within and across groups, blended with the nearest users'.

    Args:
        neighbours: users to blend with, by Euclidean distance.
        groups: into which a user's baskets are cut, oldest first; a short first group takes what is left over.
        within, across: decay per basket and per group.
        own: share of the user's own vector.
    """
    vectors = _tifu_vectors(seen, items, groups, within, across)
    squares = np.asarray(vectors.multiply(vectors).sum(1)).ravel()

    def scores(users: np.ndarray) -> np.ndarray:
        mine = vectors[users]
        distance = squares[users][:, None] + squares[None] - 2 * (mine @ vectors.T).toarray()
        distance[np.arange(len(users)), users] = np.inf
        nearest = np.argpartition(distance, min(neighbours, distance.shape[1] - 1) - 1, axis=1)[:, :neighbours]
        rows = np.repeat(np.arange(len(users)), nearest.shape[1])
        mean = csr_matrix(
            (np.full(nearest.size, 1 / nearest.shape[1]), (rows, nearest.ravel())), (len(users), vectors.shape[0])
        )
        return (own * mine + (1 - own) * (mean @ vectors)).toarray().astype(np.float32)

    return scores


def _tifu_vectors(seen: Histories, items: int, groups: int, within: float, across: float) -> csr_matrix:
    weights = np.zeros(len(seen.items))
    for user in range(len(seen.offsets) - 1):
        rows = slice(seen.offsets[user], seen.offsets[user + 1])
        _, order = np.unique(seen.times[rows], return_inverse=True)  # lines of one basket have one time
        if not len(order):
            continue
        baskets = order.max() + 1
        size = -(-baskets // groups)
        place = order + (-baskets) % size  # from the end, so that the latest group is full
        count = (place.max() // size) + 1
        group, inside = place // size, place % size
        first = np.where(group == 0, (-baskets) % size, 0)
        weights[rows] = within ** (size - 1 - inside) / (size - first) * across ** (count - 1 - group) / count
    return _matrix(seen, items, weights)


def _matrix(seen: Histories, items: int, weights: np.ndarray) -> csr_matrix:
    """Users x items, weights of equal cells added."""
    shape = (len(seen.offsets) - 1, items)
    return csr_matrix((weights.astype(np.float32), (seen.users, seen.items)), shape)


def _largest(matrix: csr_matrix, count: int) -> csr_matrix:
    """The ``count`` largest values of each row."""
    kept = np.zeros(len(matrix.data), bool)
    for low, high in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        values = matrix.data[low:high]
        kept[low:high] = values >= np.partition(values, -count)[-count] if len(values) > count else True
    matrix = matrix.copy()
    matrix.data[~kept] = 0
    matrix.eliminate_zeros()
    return matrix
