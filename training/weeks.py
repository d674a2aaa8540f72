"""Batches of a shop whose customers fill baskets: every query asks for all items of the week after it."""

import numpy as np

from training.data import Night
from training.exposures import left_out
from training.metrics import distances
from training.microbatch import Batches, pick, unseen
from training.recipe import HELD_OUT_DAYS, Recipe
from training.trends import Trends


class Weeks(Batches):
    """A query is a midnight after which the user bought something within the HELD_OUT_DAYS days from it.

    The model sees what came before that midnight and predicts the items of those days, which is what the judge asks.
    Not only midnights of days on which the user came: there, something bought a day ago says that two visits lie a day
    apart, which nobody knows of a night to come. Lines of one basket have no order, so the "next item" is each of these
    items alike.

    Args:
        fresh_from: the midnight from which on queries are new to the model that training starts from. It takes
            ``recipe.warm_steps`` then, and the latest query of a row lies before that midnight for the share
            ``recipe.replay`` of rows alone. None knows no such model: all midnights are alike.
    """

    def __init__(self, night: Night, recipe: Recipe, fresh_from: float | None = None):
        super().__init__(night, recipe)
        self.fresh_from = fresh_from
        times = (night.histories.of(user)[1] for user in range(len(night.user_ids)))
        self.trends = Trends(night, since(night, recipe)) if recipe.counted else None
        self.moments = [_moments(each, night.cut, since(night, recipe)) for each in times]
        counts = np.array([len(days) for days in self.moments])
        if not counts.any():
            raise ValueError("behaviour.histories: no user bought on two different days before the held-out days")
        fresh = -np.inf if fresh_from is None else fresh_from
        self.older = np.array([np.searchsorted(days, fresh) for days in self.moments])  # how many of a user's midnights
        self.fresh_users, self.older_users = np.flatnonzero(counts > self.older), np.flatnonzero(self.older)
        both = len(self.fresh_users) and len(self.older_users)
        self.replay = recipe.replay if both else float(not len(self.fresh_users))
        self.shown = night.exposures.where(~left_out(night.user_ids)[night.exposures.users])
        self._shown_key = self.shown.users * 100_000 + self.shown.days.astype(np.int64)

    @property
    def steps(self) -> int:
        return self.recipe.steps if self.fresh_from is None else self.recipe.warm_steps

    def rows(self, step: int, shard: int, rng: np.random.Generator) -> list[dict[str, np.ndarray]]:
        size, rows = self.recipe.users, []
        replayed = int((rng.random(size) < self.replay).sum()) if self.replay else 0
        for users, count, old in ((self.fresh_users, size - replayed, False), (self.older_users, replayed, True)):
            chosen = rng.choice(users, count, replace=len(users) < count) if count else ()
            rows += [self._user(int(user), old, rng) for user in chosen]
        return rows

    def _dated(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if not self.trends:
            del batch["midnight"]
            return super()._dated(batch)
        midnights, moment = np.unique(batch.pop("midnight"), return_inverse=True)
        trend = self.trends.at(batch["candidates"], midnights)
        return {**batch, "moment": moment.reshape(batch["last"].shape), "trend": trend}

    def _user(self, user: int, old: bool, rng: np.random.Generator) -> dict[str, np.ndarray]:
        recipe = self.recipe
        items, times = self.night.histories.of(user)
        days = self.moments[user]
        starts = np.searchsorted(times, days)
        older = self.older[user]
        anchor = int(rng.integers(0, older) if old else rng.integers(older, len(days)))
        first = max(0, starts[anchor] - recipe.max_history)
        earliest = max(first, starts[anchor] - recipe.context)
        others = np.flatnonzero(starts[:anchor] > earliest)
        chosen = rng.choice(others, min(len(others), recipe.queries - 1), replace=False)
        pad = recipe.max_history - (starts[anchor] - first)
        row = {
            "history": np.full(recipe.max_history, -1, np.int64),
            "ages": np.zeros(recipe.max_history, np.float32),
            "query_ages": np.zeros(recipe.queries, np.float32),
            "midnight": np.full(recipe.queries, days[anchor]),
            "last": np.full(recipe.queries, -1, np.int64),
            "targets": np.full((recipe.queries, recipe.targets), -1, np.int64),
            "paid": np.full((recipe.queries, recipe.targets), np.nan, np.float32),
            "variety": np.full(recipe.queries, np.nan, np.float32),
            **unseen(recipe.queries, recipe.shown),
        }
        row["history"][pad:] = items[first : starts[anchor]]
        row["ages"][pad:] = days[anchor] - times[first : starts[anchor]]
        for place, moment in enumerate([anchor, *np.sort(chosen)]):
            row["query_ages"][place] = days[anchor] - days[moment]
            row["midnight"][place] = days[moment]
            row["last"][place] = pad + starts[moment] - first - 1
            self._take(
                row, place, user, slice(starts[moment], np.searchsorted(times, days[moment] + HELD_OUT_DAYS)), rng
            )
            self._show(row, place, user, days[moment], rng)
        return row

    def _take(self, row: dict[str, np.ndarray], place: int, user: int, week: slice, rng: np.random.Generator) -> None:
        """What the user bought in the query's week, what each basket of it cost, and how far apart it lies."""
        night, first = self.night, self.night.histories.offsets[user]
        lines = slice(first + week.start, first + week.stop)
        items, line = np.unique(night.histories.items[lines], return_inverse=True)
        baskets = np.unique(np.stack([line, night.histories.baskets[lines]]), axis=1)[0]
        money = np.bincount(line, night.histories.amounts[lines]) / np.bincount(baskets)
        chosen, count = pick(np.arange(len(items)), self.recipe.targets, rng)
        row["targets"][place, :count], row["paid"][place, :count] = items[chosen[:count]], money[chosen[:count]]
        if count > 1:
            apart = distances(night.paths[items[chosen[:count]]])
            row["variety"][place] = apart.sum() / (count * (count - 1))

    def _show(self, row: dict[str, np.ndarray], place: int, user: int, day: float, rng: np.random.Generator) -> None:
        """What was shown to the user in the query's week; a sample's weights grow by what it leaves out."""
        exposures, key = self.shown, user * 100_000 + int(day)
        low, high = np.searchsorted(self._shown_key, [key, key + HELD_OUT_DAYS])
        seen, count = pick(np.arange(low, high), self.recipe.shown, rng)
        seen = seen[:count]
        row["shown"][place, :count] = exposures.items[seen]
        row["clicked"][place, :count] = exposures.clicked[seen]
        row["bought"][place, :count] = exposures.bought[seen]
        row["weight"][place, :count] = exposures.weights[seen] * (high - low) / max(count, 1)


def since(night: Night, recipe: Recipe) -> float:
    """The midnight from which there are queries: what an item is known by before them must be older.

    A shop that is younger than two windows gives queries half of its time.
    """
    if recipe.predict != "week":
        return night.cut
    if not recipe.counted:
        return night.cut - recipe.window  # nothing is known by what came before, and when the first user came is theirs
    first = night.histories.times.min(initial=night.cut)
    return max(night.cut - recipe.window, float(np.ceil((first + night.cut) / 2)))


def _moments(times: np.ndarray, cut: float, since: float) -> np.ndarray:
    """Midnights from ``since`` with events before them and within HELD_OUT_DAYS days after them, all of these known."""
    days = np.unique(np.floor(times))
    near = np.unique(days[:, None] - np.arange(HELD_OUT_DAYS))
    return near[(near > days[:1].min(initial=np.inf)) & (near >= since) & (near <= cut - HELD_OUT_DAYS)]
