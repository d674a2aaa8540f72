"""What stands among a user's candidates beside the best: arrivals that they may like, and what is pinned for them."""

import numpy as np
from scipy import sparse

from jobs.ranking.rules import extended


def arriving(liked: np.ndarray, banned: sparse.csr_array | None, pinned: np.ndarray) -> np.ndarray:
    """int64 [n, a + p]: arrivals that the user may be shown and that aren't pinned, and the pins."""
    wanted = (liked >= 0) & ~(liked[:, :, None] == pinned[:, None, :]).any(axis=2)
    if banned is not None and wanted.any():
        users, places = np.nonzero(wanted)
        wanted[users, places] = ~np.asarray(banned[users, liked[users, places]], bool)
    return np.concatenate([np.where(wanted, liked, -1), pinned], axis=1)


def with_added(
    positions: np.ndarray,
    scores: np.ndarray,
    more: np.ndarray,
    users: np.ndarray,
    items: np.ndarray,
    added: sparse.csr_array | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """:func:`top_k`'s answer, and after it those of more items that it lacks, with their scores.

    Args:
        positions, scores: [n, k].
        more: int64 [n, p], items, no item twice in a row; -1 for none.
        users, items, added: as :func:`top_k` was given.
    """
    wider = extended(positions, more)
    rows, columns = np.nonzero(wider[:, positions.shape[1] :] >= 0)
    theirs = np.full((len(positions), wider.shape[1] - positions.shape[1]), -np.inf)
    own = wider[rows, columns + positions.shape[1]]
    theirs[rows, columns] = np.einsum("pd,pd->p", users[rows].astype(np.float64), items[own].astype(np.float64))
    if added is not None and len(own):
        theirs[rows, columns] += added[rows, own]
    return wider, np.concatenate([scores, theirs], axis=1)
