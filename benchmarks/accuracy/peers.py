"""What a recommender has to beat, as the papers describe it; each gets a Split and gives scores.

Popularity and each user's most bought items are those of ``training.baselines``, which the judge uses every night.
"""

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.accuracy.protocol import Scores, Split, matrix
from training.data import Histories


def popularity(split: Split, half_life: float = np.inf) -> Scores:
    """One order for all: what was taken most in training, events halving every ``half_life`` days."""
    counts = matrix(split.train, split.items, _decay(split.train, split.now, half_life)).sum(0).A1
    return lambda users: np.repeat(counts[None], len(users), axis=0)


def top_frequency(split: Split, half_life: float = np.inf) -> Scores:
    """What each user took most, events halving every ``half_life`` days; popularity decides between equals."""
    mine = matrix(split.asked, split.items, _decay(split.asked, split.now, half_life))
    popular = popularity(split, half_life)(np.zeros(1, np.int64))
    rest = popular / (popular.max() + 1) * 1e-6
    return lambda users: mine[users].toarray() + rest


def item_knn(split: Split, neighbours: int = 100, shrink: float = 10.0) -> Scores:
    """Cosine of items over users with shrinkage, the nearest ``neighbours`` of each (Sarwar et al. 2001)."""
    taken, known = (_once(matrix(seen, split.items)) for seen in (split.train, split.asked))
    size = np.sqrt(np.asarray(taken.sum(0)).ravel())
    near = (taken.T @ taken).tocsr()
    near.setdiag(0)
    left = np.repeat(size, np.diff(near.indptr))
    near.data = near.data / (left * size[near.indices] + shrink)
    near = _largest(near, neighbours)
    return lambda users: (known[users] @ near).toarray()


def tifu_knn(
    split: Split,
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
    vectors = _tifu_vectors(split.asked, split.items, groups, within, across)
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
    return matrix(seen, items, weights)


def _decay(seen: Histories, now: float, half_life: float) -> np.ndarray:
    return 0.5 ** ((now - seen.times) / half_life)


def _once(counts: csr_matrix) -> csr_matrix:
    return (counts != 0).astype(np.float32)


def _largest(near: csr_matrix, count: int) -> csr_matrix:
    """The ``count`` largest values of each row."""
    kept = np.zeros(len(near.data), bool)
    for low, high in zip(near.indptr[:-1], near.indptr[1:], strict=True):
        values = near.data[low:high]
        kept[low:high] = values >= np.partition(values, -count)[-count] if len(values) > count else True
    near = near.copy()
    near.data[~kept] = 0
    near.eliminate_zeros()
    return near
