"""One micro-batch: a function of data, recipe, step and shard alone, so that a resumed run goes on as it would have.

A step has ``recipe.shards`` of them whatever the number of ranks: one rank takes them all, two take half each, and the
gradient is the same.
"""

from abc import ABC, abstractmethod

import numpy as np

from training.data import HELD_OUT_DAYS, Night
from training.recipes import Recipe

ALIKE = 20  # batches whose users are sorted by length together: little padding, and still other company every epoch


class Batches(ABC):
    """Draws micro-batches from a night's training part."""

    def __init__(self, night: Night, recipe: Recipe):
        self.night, self.recipe = night, recipe

    @property
    @abstractmethod
    def steps(self) -> int:
        """Optimizer steps of the whole training."""

    @abstractmethod
    def _rows(self, step: int, shard: int, rng: np.random.Generator) -> list[dict[str, np.ndarray]]:
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
            bought, weight: float32[B, Q, E] of what was shown.
        """
        rng = np.random.default_rng([self.recipe.seed, step, shard])
        rows = self._rows(step, shard, rng)
        batch = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        return self._number(batch, rng)

    def _number(self, batch: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Replace items by their places in the step's candidates."""
        recipe, night = self.recipe, self.night
        named = np.concatenate([batch[name].ravel() for name in ("history", "targets", "shown")])
        inside = np.unique(named[named >= 0])
        rest = np.setdiff1d(np.arange(night.known), inside, assume_unique=True)
        drawn = rng.choice(rest, min(recipe.negatives, len(rest)), replace=False) if recipe.negatives else rest
        candidates = np.concatenate([inside, drawn])
        place = np.full(len(night.item_ids) + 1, -1, np.int64)  # the last entry keeps -1 at -1
        place[candidates] = np.arange(len(candidates))
        for name in ("history", "targets", "shown"):
            batch[name] = place[batch[name]]
        texts = np.unique(night.text_of[inside])
        # an item outside of training's catalogue of known items may be shown; the softmax is over known ones only
        log_weight = np.where(inside < night.known, 0.0, -np.inf)
        log_weight = np.concatenate([log_weight, np.full(len(drawn), np.log(max(len(rest), 1) / max(len(drawn), 1)))])
        return {
            **batch,
            "candidates": candidates,
            "unknown": rng.random(len(candidates)) < recipe.id_dropout,
            "log_weight": log_weight.astype(np.float32),
            "live": rng.choice(texts, min(recipe.live_texts, len(texts)) if recipe.tuned_layers else 0, replace=False),
        }


class Weeks(Batches):
    """A query is a midnight after which the user bought something within the HELD_OUT_DAYS days from it.

    The model sees what came before that midnight and predicts the items of those days, which is what the judge asks.
    Not only midnights of days on which the user came: there, something bought a day ago says that two visits lie a day
    apart, which nobody knows of a night to come. Lines of one basket have no order, so the "next item" is each of these
    items alike.
    """

    def __init__(self, night: Night, recipe: Recipe):
        super().__init__(night, recipe)
        times = (night.histories.of(user)[1] for user in range(len(night.user_ids)))
        self.moments = [_moments(each, night.cut, since(night, recipe)) for each in times]
        self.users = np.flatnonzero([len(days) > 0 for days in self.moments])
        if not len(self.users):
            raise ValueError("behaviour.histories: no user bought on two different days before the held-out days")
        exposures = night.exposures
        self._shown_key = exposures.users * 100_000 + exposures.days.astype(np.int64)

    @property
    def steps(self) -> int:
        return self.recipe.steps

    def _rows(self, step: int, shard: int, rng: np.random.Generator) -> list[dict[str, np.ndarray]]:
        users = rng.choice(self.users, self.recipe.users, replace=len(self.users) < self.recipe.users)
        return [self._user(int(user), rng) for user in users]

    def _user(self, user: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        recipe = self.recipe
        items, times = self.night.histories.of(user)
        days = self.moments[user]
        starts = np.searchsorted(times, days)
        anchor = int(rng.integers(len(days)))
        first = max(0, starts[anchor] - recipe.max_history)
        earliest = max(first, starts[anchor] - recipe.context)
        others = np.flatnonzero(starts[:anchor] > earliest)
        chosen = rng.choice(others, min(len(others), recipe.queries - 1), replace=False)
        pad = recipe.max_history - (starts[anchor] - first)
        row = {
            "history": np.full(recipe.max_history, -1, np.int64),
            "ages": np.zeros(recipe.max_history, np.float32),
            "query_ages": np.zeros(recipe.queries, np.float32),
            "last": np.full(recipe.queries, -1, np.int64),
            "targets": np.full((recipe.queries, recipe.targets), -1, np.int64),
            "shown": np.full((recipe.queries, recipe.shown), -1, np.int64),
            "bought": np.zeros((recipe.queries, recipe.shown), np.float32),
            "weight": np.zeros((recipe.queries, recipe.shown), np.float32),
        }
        row["history"][pad:] = items[first : starts[anchor]]
        row["ages"][pad:] = days[anchor] - times[first : starts[anchor]]
        for place, moment in enumerate([anchor, *np.sort(chosen)]):
            row["query_ages"][place] = days[anchor] - days[moment]
            row["last"][place] = pad + starts[moment] - first - 1
            week = items[starts[moment] : np.searchsorted(times, days[moment] + HELD_OUT_DAYS)]
            row["targets"][place] = _pick(np.unique(week), recipe.targets, rng)[0]
            self._show(row, place, user, days[moment], rng)
        return row

    def _show(self, row: dict[str, np.ndarray], place: int, user: int, day: float, rng: np.random.Generator) -> None:
        """What was promoted to the user in the query's week; a sample's weights grow by what it leaves out."""
        exposures, key = self.night.exposures, user * 100_000 + int(day)
        low, high = np.searchsorted(self._shown_key, [key, key + HELD_OUT_DAYS])
        seen, count = _pick(np.arange(low, high), self.recipe.shown, rng)
        seen = seen[:count]
        row["shown"][place, :count] = exposures.items[seen]
        row["bought"][place, :count] = exposures.bought[seen]
        row["weight"][place, :count] = exposures.weights[seen] * (high - low) / max(count, 1)


class Nexts(Batches):
    """Every event is a query for the one after it: for shops whose customers seldom buy two things at once.

    Users come once an epoch, those of like length together. A history longer than ``max_history`` shows another part
    of itself every epoch.
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

    def _rows(self, step: int, shard: int, rng: np.random.Generator) -> list[dict[str, np.ndarray]]:
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
        return list(rng.permutation(order.reshape(-1, recipe.users)))

    def _user(self, user: int, width: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        items, times = self.night.histories.of(user)
        low = int(rng.integers(len(items) - self.lengths[user] + 1))
        items, times = items[low : low + self.lengths[user]], times[low : low + self.lengths[user]]
        pad = width - len(items) + 1
        ages = np.pad(times[-2] - times[:-1], (pad, 0)).astype(np.float32)
        return {
            "history": np.pad(items[:-1], (pad, 0), constant_values=-1),
            "ages": ages,
            "query_ages": ages,
            "last": np.where(np.arange(width) < pad, -1, np.arange(width)),
            "targets": np.pad(items[1:], (pad, 0), constant_values=-1)[:, None],
            "shown": np.full((width, 1), -1, np.int64),
            "bought": np.zeros((width, 1), np.float32),
            "weight": np.zeros((width, 1), np.float32),
        }


def batches(night: Night, recipe: Recipe) -> Batches:
    """What the recipe learns to predict.

    Raises:
        ValueError: if the night has nobody to learn from.
    """
    return {"week": Weeks, "next": Nexts}[recipe.predict](night, recipe)


def since(night: Night, recipe: Recipe) -> float:
    """The midnight from which there are queries: what an item is known by before them must be older.

    A shop that is younger than two windows gives queries half of its time.
    """
    if recipe.predict != "week":
        return night.cut
    first = night.histories.times.min(initial=night.cut)
    return max(night.cut - recipe.window, float(np.ceil((first + night.cut) / 2)))


def _moments(times: np.ndarray, cut: float, since: float) -> np.ndarray:
    """Midnights from ``since`` with events before them and within HELD_OUT_DAYS days after them, all of these known."""
    days = np.unique(np.floor(times))
    near = np.unique(days[:, None] - np.arange(HELD_OUT_DAYS))
    return near[(near > days[:1].min(initial=np.inf)) & (near >= since) & (near <= cut - HELD_OUT_DAYS)]


def _pick(values: np.ndarray, size: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """At most ``size`` of the values without replacement, padded with -1; and how many."""
    chosen = values if len(values) <= size else np.sort(rng.choice(values, size, replace=False))
    return np.pad(chosen, (0, size - len(chosen)), constant_values=-1), len(chosen)
