"""Batches of a shop whose customers take one thing after another: every event asks for the one after it."""

import numpy as np

from training.data import Night
from training.microbatch import Batches, unseen
from training.recipe import Recipe

ALIKE = 20  # batches whose users are sorted by length together: little padding, and still other company every epoch


class Nexts(Batches):
    """Every event is a query for the one after it: for shops whose customers seldom buy two things at once.

    Users come once an epoch, those of like length together. A history longer than ``max_history`` shows another part
    of itself every epoch. The share ``later`` of events, drawn anew each time, asks for the second or third event after
    them instead (for the last one, where there are fewer): what comes a little later is no worse an answer, and whoever
    has to foresee it too learns histories less by heart.
    """

    def __init__(self, night: Night, recipe: Recipe):
        super().__init__(night, recipe)
        lengths = np.diff(night.histories.offsets)
        self.users = np.flatnonzero(lengths > 1)
        if not len(self.users):
            raise ValueError("behaviour.histories: no user has two events before the held-out days")
        self.lengths = np.minimum(lengths, recipe.max_history + 1)
        self._epoch: tuple[int, list[np.ndarray]] = (-1, [])

    @property
    def steps(self) -> int:
        return self.recipe.epochs * self._steps_an_epoch

    @property
    def _steps_an_epoch(self) -> int:
        return -(-len(self.users) // (self.recipe.users * self.recipe.shards))

    def rows(self, step: int, shard: int, rng: np.random.Generator) -> list[dict[str, np.ndarray]]:
        epoch, place = divmod(step, self._steps_an_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._shuffled(epoch))
        users = self._epoch[1][place * self.recipe.shards + shard]
        width = int(self.lengths[users].max()) - 1
        return [self._user(int(user), width, rng) for user in users]

    def _shuffled(self, epoch: int) -> list[np.ndarray]:
        """The epoch's micro-batches."""
        rng, recipe = np.random.default_rng([self.recipe.seed, epoch]), self.recipe
        missing = self._steps_an_epoch * recipe.users * recipe.shards - len(self.users)
        order = np.concatenate([rng.permutation(self.users), rng.choice(self.users, missing)])
        alike = ALIKE * recipe.users
        blocks = [order[low : low + alike] for low in range(0, len(order), alike)]
        order = np.concatenate([block[np.argsort(self.lengths[block], kind="stable")] for block in blocks])
        # those of one step lie side by side here: ranks with long and short histories would wait for each other
        return list(rng.permutation(order.reshape(-1, recipe.shards, recipe.users)).reshape(-1, recipe.users))

    def _user(self, user: int, width: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        items, times = self.night.histories.of(user)
        amounts = self.night.histories.amounts[self.night.histories.offsets[user] :][: len(items)]
        low = int(rng.integers(len(items) - self.lengths[user] + 1))
        items, times, amounts = (each[low : low + self.lengths[user]] for each in (items, times, amounts))
        pad = width - len(items) + 1
        place = np.arange(1, len(items))
        skipped = rng.integers(1, 3, len(place)) * (rng.random(len(place)) < self.recipe.later)
        asked = np.minimum(place + skipped, len(place))
        ages = np.pad(times[-2] - times[:-1], (pad, 0)).astype(np.float32)
        return {
            "history": np.pad(items[:-1], (pad, 0), constant_values=-1),
            "ages": ages,
            "query_ages": ages,
            "last": np.where(np.arange(width) < pad, -1, np.arange(width)),
            "targets": np.pad(items[asked], (pad, 0), constant_values=-1)[:, None],
            "paid": np.pad(amounts[asked], (pad, 0), constant_values=np.nan).astype(np.float32)[:, None],
            "variety": np.full(width, np.nan, np.float32),
            **unseen(width, 1),
        }
