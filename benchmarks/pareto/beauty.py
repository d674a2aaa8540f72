"""Beauty as a trial: relevance, diversity and novelty alone, for its sequences know no money."""

from pathlib import Path

import numpy as np

from benchmarks.accuracy import amazon, ours
from benchmarks.accuracy.leave_one_out import exported, variants
from benchmarks.pareto.weeks import BLOCK, CANDIDATES, LENGTH
from jobs.lists.candidates import softmax
from jobs.lists.held import scales_of
from jobs.ranking.blend import unit
from jobs.ranking.trial import Trial
from jobs.ranking.values import novelty
from training.served import Exported

USERS = 2000  # of each half: one is searched, the other wasn't seen
MEASURES = ("ndcg", "novelty", "diversity")


def halves(dataset: amazon.Dataset, folder: Path, quick: bool) -> tuple[Trial, Trial]:
    """Two trials of different users: what our model offers each, and the item that they took next."""
    export, night, catalogue = exported(dataset, variants(quick)["ours"], folder)
    split = dataset.split()
    users = np.random.default_rng(0).permutation(split.users)[: 2 * USERS]
    scores = ours.scores(export, night, catalogue, split)
    shoppers = np.bincount(
        np.unique(np.stack([split.asked.users, split.asked.items]), axis=1)[1], minlength=split.items
    )
    new = novelty(shoppers, len(split.users))
    vectors = Exported(export).serve(night).items.vectors.numpy()
    place = {item: number for number, item in enumerate(night.item_ids)}
    units = unit(vectors[[place[item] for item in catalogue.ids]][:, :-1])
    return tuple(_trial(part, split, scores, new, units) for part in (users[::2], users[1::2]))


def _trial(users: np.ndarray, split, scores, new: np.ndarray, units: np.ndarray) -> Trial:
    positions, shares = [], []
    for low in range(0, len(users), BLOCK):
        found = scores(users[low : low + BLOCK]).astype(np.float64)
        best = np.argsort(-found, axis=1, kind="stable")[:, :CANDIDATES]
        positions.append(best)
        shares.append(softmax(np.take_along_axis(found, best, axis=1)))
    at = np.concatenate(positions)
    where = {user: row for row, user in enumerate(split.users)}
    target = np.array([split.relevant.items[split.relevant.offsets[where[user]]] for user in users])
    values = {"relevance": np.ma.array(np.concatenate(shares)), "novelty": np.ma.array(new[at])}
    scaled = {name: scale.scaled(values[name]) for name, scale in scales_of(values, LENGTH).items()}
    nothing = np.zeros(at.shape)
    return Trial(scaled, units, at, at == target[:, None], nothing, np.ones(len(users), np.int64), LENGTH)
