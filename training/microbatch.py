"""One micro-batch: a function of data, recipe, step and shard alone, so that a resumed run goes on as it would have.

A step has ``recipe.shards`` of them whatever the number of ranks: one rank takes them all, two take half each, and the
gradient is the same.
"""

from abc import ABC, abstractmethod

import numpy as np

from schemas.catalogue import TREND_HALF_LIVES
from training.accounting import Guarantee
from training.data import Night
from training.recipe import Recipe

NAMED = ("history", "targets", "shown", "asked_items")  # what a batch says of items


class Batches(ABC):
    """Draws micro-batches from a night's training part.

    ``guarantee`` is what drawing them promises users, where that is anything.
    """

    guarantee: Guarantee | None = None

    def __init__(self, night: Night, recipe: Recipe):
        self.night, self.recipe = night, recipe

    @property
    @abstractmethod
    def steps(self) -> int:
        """Optimizer steps of the whole training."""

    @abstractmethod
    def rows(self, step: int, shard: int, rng: np.random.Generator) -> list[dict[str, np.ndarray]]:
        """One row a user, with items for places in the candidates."""

    def draw(self, step: int, shard: int) -> dict[str, np.ndarray]:
        """A micro-batch of B users with Q queries each, over C candidates.

        Returns:
            candidates: int64[C] item positions; all known ones where the recipe draws no negatives, else those of the
                batch, then ``negatives`` drawn uniformly from the rest.
            unknown: bool[C], treated as new this step.
            log_weight: float32[C], log of how many items a candidate stands for.
            live: int64[M] positions in ``texts`` of those that go through the language model now.
            history: int64[B, H] places in ``candidates``, -1 where padded.
            ages: float32[B, H] days before the latest query. query_ages: float32[B, Q] likewise.
            last: int64[B, Q] place of the latest event before the query, -1 where there is no such query.
            targets: int64[B, Q, K], shown: int64[B, Q, E] places in ``candidates``, or -1.
            paid: float32[B, Q, K], money for the target by the basket, NaN where unknown.
            clicked, bought, weight: float32[B, Q, E] of what was shown; clicked NaN where nobody logged it.
            variety: float32[B, Q], mean distance of the categories of what was taken, NaN where one item was.
            moment: int64[B, Q] of each query, and trend: float32[moments, C, 3] how the candidates sold before each;
                there are 0 moments where queries have no date.
            asked_texts, asked_items: int64[A] positions in ``texts`` and places in ``candidates`` of what they tell of.
        """
        rng = np.random.default_rng([self.recipe.seed, step, shard])
        rows = self.rows(step, shard, rng)
        batch = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        return self._dated(self._number(batch, rng))

    def _dated(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """With what was known of all items at the moments of the queries; here, where they have no date, nothing."""
        moment = np.zeros(batch["last"].shape, np.int64)
        return {
            **batch,
            "moment": moment,
            "trend": np.zeros((0, len(batch["candidates"]), len(TREND_HALF_LIVES)), np.float32),
        }

    def _number(self, batch: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Replace items by their places in the step's candidates."""
        recipe, night = self.recipe, self.night
        pairs = rng.choice(len(night.queries.texts), min(recipe.asked, len(night.queries.texts)), replace=False)
        batch["asked_items"] = night.queries.items[pairs]
        named = np.concatenate([batch[name].ravel() for name in NAMED])
        inside = np.unique(named[named >= 0])
        rest = np.setdiff1d(np.arange(night.known), inside, assume_unique=True)
        drawn = rng.choice(rest, min(recipe.negatives, len(rest)), replace=False) if recipe.negatives else rest
        candidates = np.concatenate([inside, drawn])
        place = np.full(len(night.item_ids) + 1, -1, np.int64)  # the last entry keeps -1 at -1
        place[candidates] = np.arange(len(candidates))
        for name in NAMED:
            batch[name] = place[batch[name]]
        asked = night.queries.texts[pairs]
        texts = np.unique(np.concatenate([night.text_of[inside], asked]))
        # an item outside of training's catalogue of known items may be shown; the softmax is over known ones only
        log_weight = np.where(inside < night.known, 0.0, -np.inf)
        log_weight = np.concatenate([log_weight, np.full(len(drawn), np.log(max(len(rest), 1) / max(len(drawn), 1)))])
        return {
            **batch,
            "candidates": candidates,
            "asked_texts": asked,
            "unknown": rng.random(len(candidates)) < recipe.id_dropout,
            "log_weight": log_weight.astype(np.float32),
            "live": self._live(texts, candidates, rng),
        }

    def _live(self, texts: np.ndarray, candidates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Of the batch's own ``texts``, and if the recipe takes more than these, of the other candidates'."""
        wanted = self.recipe.live_texts if self.recipe.tuned_layers else 0
        live = rng.choice(texts, min(wanted, len(texts)), replace=False)
        if wanted <= len(texts):
            return live
        others = np.setdiff1d(self.night.text_of[candidates], texts)
        return np.concatenate([live, rng.choice(others, min(wanted - len(texts), len(others)), replace=False)])


def unseen(queries: int, length: int) -> dict[str, np.ndarray]:
    """Nothing was shown."""
    return {
        "shown": np.full((queries, length), -1, np.int64),
        "clicked": np.full((queries, length), np.nan, np.float32),
        "bought": np.zeros((queries, length), np.float32),
        "weight": np.zeros((queries, length), np.float32),
    }


def pick(values: np.ndarray, size: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """At most ``size`` of the values without replacement, padded with -1; and how many."""
    chosen = values if len(values) <= size else np.sort(rng.choice(values, size, replace=False))
    return np.pad(chosen, (0, size - len(chosen)), constant_values=-1), len(chosen)
