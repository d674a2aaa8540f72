"""What is counted of items, not learned: directions in which users differ, popularity, and what a purchase brings."""

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds

from schemas.catalogue import TREND_PRIOR
from training.data import Night

HALF_LIFE = 90.0  # days; of the counts that the directions explain
POPULARITY_HALF_LIFE = 30.0
SHRUNK = 2.0  # purchases of any item that count towards what one of an item usually brings


def item_vectors(night: Night, dim: int, seed: int, until: float) -> np.ndarray:
    """float32[known, dim]: right singular vectors of the users x items matrix of counts that decayed before ``until``.

    The product of these vectors with themselves is the projection that best keeps what people bought (PureSVD:
    Cremonesi, Koren, Turrin 2010), so that summing a history's vectors points back at its items from the first step.
    """
    histories = night.histories.between(-np.inf, until)
    known = histories.items < night.known
    weights = 0.5 ** ((until - histories.times[known]) / HALF_LIFE)
    counts = csr_matrix(
        (weights, (histories.users[known], histories.items[known])), shape=(len(night.user_ids), night.known)
    )
    rank = min(dim, min(counts.shape) - 1)
    start = np.random.default_rng(seed).standard_normal(min(counts.shape))
    vectors = np.zeros((night.known, dim), np.float32)
    if rank > 0 and counts.nnz:  # before anybody bought anything there is nothing to explain
        vectors[:, :rank] = svds(counts, k=rank, v0=start, return_singular_vectors="vh")[2][::-1].T
    return vectors


def turned(vectors: np.ndarray, like: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    """``vectors`` float32[n, dim], turned so that they come nearest to ``like`` (orthogonal Procrustes).

    Where ``like`` has some items only, ``rows`` says which; all are turned alike.

    Singular vectors of two times span much the same space, but each time in an order and with signs of its own.
    """
    left, _, right = np.linalg.svd(vectors[rows].T @ like)
    return vectors @ (left @ right)


def popularity(night: Night, until: float, half_life: float = POPULARITY_HALF_LIFE) -> np.ndarray:
    """float64[items]: purchases before ``until``, each halving every ``half_life`` days."""
    histories = night.histories.between(-np.inf, until)
    weights = 0.5 ** ((until - histories.times) / half_life)
    return np.bincount(histories.items, weights, minlength=len(night.item_ids))


def item_biases(night: Night, until: float) -> np.ndarray:
    """float32[known]: log popularity before ``until`` above that of an item nobody bought."""
    return np.log1p(popularity(night, until)[: night.known] / TREND_PRIOR).astype(np.float32)


def usual_spend(night: Night, until: float) -> np.ndarray:
    """float32[known + 1]: mean log money of a purchase before ``until``, entry 0 of any item, drawn towards it.

    Of an item nobody paid for it is entry 0.
    """
    _, items, money = night.histories.between(-np.inf, until).purchases()
    money = np.log(money)
    overall = money.mean() if len(money) else 0.0
    sums, counts = (np.bincount(items, each, minlength=len(night.item_ids))[: night.known] for each in (money, None))
    return np.concatenate([[overall], (sums + SHRUNK * overall) / (counts + SHRUNK)]).astype(np.float32)
