"""Where the items' own vectors start: the directions in which users differ, and how popular each item is."""

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds

from training.data import Night

HALF_LIFE = 90.0  # days; of the counts that the directions explain
POPULARITY_HALF_LIFE = 30.0
PRIOR = 0.1  # purchases that an item is credited with before its first


def item_vectors(night: Night, dim: int, seed: int) -> np.ndarray:
    """float32[known, dim]: right singular vectors of the users x items matrix of decayed counts.

    The product of these vectors with themselves is the projection that best keeps what people bought (PureSVD:
    Cremonesi, Koren, Turrin 2010), so that summing a history's vectors points back at its items from the first step.
    """
    histories = night.histories
    known = histories.items < night.known
    weights = 0.5 ** ((night.cut - histories.times[known]) / HALF_LIFE)
    counts = csr_matrix(
        (weights, (histories.users[known], histories.items[known])), shape=(len(night.user_ids), night.known)
    )
    rank = min(dim, min(counts.shape) - 1)
    start = np.random.default_rng(seed).standard_normal(min(counts.shape))
    vectors = np.zeros((night.known, dim), np.float32)
    if rank > 0:
        vectors[:, :rank] = svds(counts, k=rank, v0=start, return_singular_vectors="vh")[2][::-1].T
    return vectors


def popularity(night: Night, half_life: float = POPULARITY_HALF_LIFE) -> np.ndarray:
    """float64[items]: purchases before the cut, each halving every ``half_life`` days."""
    histories = night.histories.between(-np.inf, night.cut)
    weights = 0.5 ** ((night.cut - histories.times) / half_life)
    return np.bincount(histories.items, weights, minlength=len(night.item_ids))


def item_biases(night: Night) -> np.ndarray:
    """float32[known]: log popularity above that of an item nobody bought."""
    return np.log1p(popularity(night)[: night.known] / PRIOR).astype(np.float32)
