"""What exploration costs: the same lists with and without it, judged by what users then took."""

import numpy as np

from jobs.lists.curious import lower, waiting
from jobs.lists.held import Held
from jobs.lists.offered import Shelf
from jobs.ranking.explore import changed
from jobs.ranking.rerank import NEUTRAL, Reranking, capped
from jobs.ranking.rules import Ruled
from schemas.objectives import EXPLORING

LINES = 1000  # user-weeks at most, at even distances: Thompson's integrals are the dear part


def cost(held: Held, policy: dict[str, float], shelf: Shelf) -> float:
    """The share of the lists' NDCG that they lose for each place of a list that is expected to be explored.

    Expected over every draw of the night (:func:`jobs.ranking.explore.changed`), and paired: both kinds of lists are of
    the same users and weeks. Below 0 where what is tried was taken more often than what it displaces. How often an item
    was taken of late is tonight's count; rules take no part, and nor do items that nobody had seen before the week.

    Args:
        held: the trials.
        policy: weights and parameters of the lists.
        shelf: the items of tonight.
    """
    rows = slice(None, None, -(-len(held.trial) // LINES))
    trial = held.trial.some(rows)
    counts, means, at = held.counts[rows], held.means[rows], trial.positions
    picks = trial.lists({name: np.array([value]) for name, value in policy.items()})
    how = Reranking.of({name: policy[name] for name in NEUTRAL if name in policy}, len(trial))
    limits = (capped(how, trial.tastes, trial.length),) if trial.tastes is not None else ()
    ruled = Ruled(at >= 0, np.zeros(at.shape), np.full((len(at), trial.length), -1), limits)
    offered = waiting(picks, ruled, means, shelf.seen[at], shelf.arrived[at])
    gains = trial.taken / trial.ideal[:, None]
    had = np.where(picks >= 0, np.take_along_axis(gains, picks.clip(0), axis=1), 0.0)
    ndcg = counts @ (had @ (1 / np.log2(np.arange(2, picks.shape[1] + 2))))
    less = counts @ changed(picks, *offered, lower(picks, ruled, trial.length), gains)
    return float(0.0 - less / ndcg) if ndcg > 0 else 0.0  # and not -0.0


def afforded(each: float) -> float:
    """The places a list that may be explored, where one costs ``each``: the budget, or what keeps to its bound."""
    return min(EXPLORING.budget, EXPLORING.most / each) if each > 0 else EXPLORING.budget
