"""What a model has to beat: popular items for everybody, and each user's own most bought."""

import numpy as np
from scipy.sparse import csr_matrix

from training.data import Night
from training.warm_start import popularity

BLOCK = 256  # users ranked at a time
FREQUENCY_HALF_LIFE = 60.0  # days: the best of 30, 60, 120 and none on the Complete Journey


def best(scores: np.ndarray, top: int) -> np.ndarray:
    """int64[users, top]: each row's best columns, best first, of equal ones the first; -1 where there are fewer."""
    width = min(top, scores.shape[1])
    # those that score as the last of the best or more, then in order: sorting whole rows takes ten times as long
    floor = np.partition(scores, -width, axis=1)[:, -width]
    tops = np.full((len(scores), top), -1, np.int64)
    for row, values in enumerate(scores):
        leading = np.flatnonzero(values >= floor[row])
        tops[row, :width] = leading[np.argsort(-values[leading], kind="stable")][:width]
    return tops


def most_popular(night: Night, users: np.ndarray, top: int) -> np.ndarray:
    """int64[users, top]: one list for all, by decayed purchases before the cut."""
    return np.repeat(best(popularity(night, night.cut)[None], top), len(users), axis=0)


def top_frequency(night: Night, users: np.ndarray, top: int, half_life: float = FREQUENCY_HALF_LIFE) -> np.ndarray:
    """int64[users, top]: what each bought most before the cut, purchases halving every ``half_life`` days.

    Popularity decides between items bought as often, and fills the lists of those who bought little.
    """
    seen = night.histories.between(-np.inf, night.cut)
    weights = 0.5 ** ((night.cut - seen.times) / half_life)
    counts = csr_matrix((weights, (seen.users, seen.items)), (len(night.user_ids), len(night.item_ids)))
    popular = popularity(night, night.cut)
    rest = popular / (popular.max() + 1) * 1e-9  # breaks ties, and fills lists
    tops = [best(counts[users[low : low + BLOCK]].toarray() + rest, top) for low in range(0, max(len(users), 1), BLOCK)]
    return np.concatenate(tops)
