"""Ranking metrics: one value a user, so that means, segments and paired intervals all come from the same numbers.

Every item of the catalogue is ranked; nothing is sampled (Krichene and Rendle 2020 show what sampling does).
"""

from dataclasses import dataclass

import numpy as np

CUTOFFS = (5, 10, 20)
DRAWS = 1000  # bootstrap samples
BLOCK = 100  # of them at a time


@dataclass(frozen=True)
class Relevant:
    """What each user took in the held-out time: user u's are ``items[offsets[u]:offsets[u + 1]]``, each once.

    Args:
        offsets: int64[users + 1].
        items: int64, ascending within a user.
        spent: float64, what the user paid for each; None where the source has no prices.
    """

    offsets: np.ndarray
    items: np.ndarray
    spent: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> np.ndarray:
        """int64[users]: how many each took."""
        return np.diff(self.offsets)

    @classmethod
    def of(cls, lists: list[np.ndarray]) -> "Relevant":
        """From one array of items a user, in any order and with repeats."""
        distinct = [np.unique(items) for items in lists]
        offsets = np.concatenate([[0], np.cumsum([len(items) for items in distinct])]).astype(np.int64)
        return cls(offsets, np.concatenate(distinct).astype(np.int64) if distinct else np.zeros(0, np.int64))


def accuracy(tops: np.ndarray, relevant: Relevant, cutoffs: tuple[int, ...] = CUTOFFS) -> dict[str, np.ndarray]:
    """Recall, precision, F1, NDCG and MRR of each user at each cutoff, and revenue where spending is known.

    NDCG has binary gains and the discount 1 / log2(rank + 1); the ideal list holds min(k, taken) hits (Järvelin and
    Kekäläinen 2002). Recall divides by all that was taken, precision by k. Revenue is what the user paid in the
    held-out time for the items of the list.

    Args:
        tops: int64[users, at least max(cutoffs)], best first; -1 where a list is shorter.
        relevant: of the same users, each of whom took at least one item.

    Returns:
        float64[users] by name, such as ``ndcg_at_10``.

    Raises:
        ValueError: if a user took nothing, or the lists are too short.
    """
    if tops.shape[1] < max(cutoffs):
        raise ValueError(f"lists hold {tops.shape[1]} items; the largest cutoff is {max(cutoffs)}")
    if not relevant.counts.all():
        raise ValueError(f"user {int(np.argmin(relevant.counts))} took nothing in the held-out time: leave them out")
    hits, spent = _hits(tops[:, : max(cutoffs)], relevant)
    discounts = 1 / np.log2(np.arange(2, max(cutoffs) + 2))
    ideal = np.cumsum(discounts)
    first = np.where(hits.any(1), hits.argmax(1) + 1, np.inf)
    found = {}
    for k in cutoffs:
        count = hits[:, :k].sum(1)
        recall, precision = count / relevant.counts, count / k
        found[f"recall_at_{k}"], found[f"precision_at_{k}"] = recall, precision
        found[f"f1_at_{k}"] = 2 * recall * precision / np.maximum(recall + precision, 1e-12)
        found[f"ndcg_at_{k}"] = hits[:, :k] @ discounts[:k] / ideal[np.minimum(relevant.counts, k) - 1]
        found[f"mrr_at_{k}"] = np.where(first <= k, 1 / first, 0.0)
        if spent is not None:
            found[f"revenue_at_{k}"] = spent[:, :k].sum(1)
    return found


def variety(tops: np.ndarray, paths: np.ndarray, share: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """Intra-list diversity and novelty of each user's first k.

    Diversity is the mean over a list's pairs of 1 - (category levels they share) / (levels of the deeper one): 0 for
    one narrow category, 1 where no two items share even the widest. Novelty is the mean of -log2 of ``share`` (Zhou et
    al. 2010).

    Args:
        tops: int64[users, at least k], without gaps.
        paths: int64[items, levels], a number for each category with all above it, -1 below an item's last level.
        share: float64[items] above 0, of the users who took the item before the cut.
    """
    diversity = np.zeros(len(tops))
    for low in range(0, len(tops), 1024):
        apart = distances(paths[tops[low : low + 1024, :k]])
        diversity[low : low + 1024] = apart.sum((1, 2)) / (k * (k - 1))
    return {f"diversity_at_{k}": diversity, f"novelty_at_{k}": -np.log2(share[tops[:, :k]]).mean(1)}


def distances(paths: np.ndarray) -> np.ndarray:
    """float64[..., k, k]: 1 less the share of levels that two of k category paths int64[..., k, levels] have in common.

    Of two paths the deeper one's levels are counted; an item is at no distance from itself.
    """
    shared = ((paths[..., :, None, :] == paths[..., None, :, :]) & (paths[..., :, None, :] >= 0)).sum(-1)
    depth = (paths >= 0).sum(-1)
    apart = 1 - shared / np.maximum(np.maximum(depth[..., :, None], depth[..., None, :]), 1)
    apart[..., np.arange(paths.shape[-2]), np.arange(paths.shape[-2])] = 0
    return apart


def coverage(tops: np.ndarray, items: int, k: int) -> float:
    """Share of the catalogue that stands in anybody's first k."""
    shown = tops[:, :k]
    return len(np.unique(shown[shown >= 0])) / items


def intervals(values: np.ndarray, seed: int = 0, draws: int = DRAWS) -> tuple[np.ndarray, np.ndarray]:
    """95 % percentile bootstrap intervals of the means, users drawn with replacement.

    Of the difference of two models' values, user by user, they are the paired intervals.

    Args:
        values: float64[users, metrics].

    Returns:
        The lower and the upper bounds, float64[metrics] each.
    """
    rng = np.random.default_rng(seed)
    users = len(values)
    means = []
    for low in range(0, draws, BLOCK):
        drawn = rng.multinomial(users, np.full(users, 1 / users), min(BLOCK, draws - low))
        means.append(drawn @ values / users)
    lower, upper = np.quantile(np.concatenate(means), [0.025, 0.975], axis=0)
    return lower, upper


def _hits(tops: np.ndarray, relevant: Relevant) -> tuple[np.ndarray, np.ndarray | None]:
    """bool[users, K] whether the user took the item there, and float64[users, K] what they paid for it."""
    width = int(max(tops.max(initial=0), relevant.items.max(initial=0))) + 1
    users = np.arange(len(relevant))
    taken = np.repeat(users, relevant.counts) * width + relevant.items  # ascending, as each user's items are
    asked = np.where(tops >= 0, users[:, None] * width + tops, -1)
    place = np.minimum(np.searchsorted(taken, asked), len(taken) - 1)
    hits = taken[place] == asked
    return hits, None if relevant.spent is None else np.where(hits, relevant.spent[place], 0.0)
