"""What every contender is given, and how its lists are scored: nothing here knows any model."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from training.baselines import best
from training.data import Histories
from training.metrics import Relevant, accuracy

CUTOFFS = (5, 10)
TOP = 20
BLOCK = 256  # users scored at a time

Lists = dict[str, np.ndarray]  # by protocol, int64[users, TOP], best first
Scores = Callable[[np.ndarray], np.ndarray]  # int64[B] users -> float32[B, items], the higher the better


@dataclass(frozen=True)
class Split:
    """One question to all contenders: what does each of ``users`` take next?

    Args:
        train: what a contender may learn from.
        asked: what it knows of each user when it is asked; ``train`` and perhaps what came after it.
        items: how many there are, all of which are ranked.
        now: the moment of asking, days on the clock of the histories.
        users: int64, who is asked.
        relevant: of the same users, what they took.
    """

    train: Histories
    asked: Histories
    items: int
    now: float
    users: np.ndarray
    relevant: Relevant


def tops(scores: Scores, split: Split) -> Lists:
    """Lists by protocol: "unmasked", and "masked" without the items of a user's own history."""
    seen = matrix(split.asked, split.items) != 0
    found: dict[str, list[np.ndarray]] = {"unmasked": [], "masked": []}
    for low in range(0, len(split.users), BLOCK):
        users = split.users[low : low + BLOCK]
        values = np.array(scores(users), dtype=np.float32)
        found["unmasked"].append(best(values, TOP))
        values[seen[users].nonzero()] = -np.inf
        found["masked"].append(best(values, TOP))
    return {protocol: np.concatenate(lists) for protocol, lists in found.items()}


def figures(lists: Lists, split: Split) -> dict[str, dict[str, np.ndarray]]:
    """float64[users] by protocol and metric.

    "warm" is "masked" over the users whose held-out item was seen in training, but not by themselves: the denominator
    of tables that drop the others. Of users who took several items it says nothing, so it is left out there.
    """
    values = {protocol: accuracy(found, split.relevant, CUTOFFS) for protocol, found in lists.items()}
    if (split.relevant.counts == 1).all():
        trained = np.isin(split.relevant.items, split.train.items)
        before = matrix(split.asked, split.items)[split.users, split.relevant.items].A1 > 0
        values["warm"] = {name: found[trained & ~before] for name, found in values["masked"].items()}
    return values


def means(values: dict[str, np.ndarray]) -> dict[str, float]:
    """The figures of a report: recall@5 and so on."""
    wanted = [f"{name}_at_{k}" for name in ("recall", "ndcg") for k in CUTOFFS]
    return {name.replace("_at_", "@"): float(values[name].mean()) for name in wanted}


def matrix(seen: Histories, items: int, weights: Iterable[float] | None = None) -> csr_matrix:
    """float32 users x items, weights (one an event; 1 if not given) of equal cells added."""
    weights = np.ones(len(seen.items)) if weights is None else np.asarray(weights)
    return csr_matrix((weights.astype(np.float32), (seen.users, seen.items)), (len(seen.offsets) - 1, items))
