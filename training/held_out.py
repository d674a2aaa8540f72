"""The held-out days as the judge sees them: who bought what, and how well lists made before the cut foresaw it."""

from dataclasses import dataclass
from datetime import date

import numpy as np
from deltalake import DeltaTable

from schemas.profiles import NEW, OCCASIONAL, RECENT, SEGMENTS
from training.data import Night
from training.lake import open_table, read_night, table_uri
from training.metrics import CUTOFFS, Relevant, accuracy, coverage, intervals, variety

GROUPED = ("age", "income")  # attributes of people that models are compared by, where the shop knows them
LEAST = 20  # users a group must have: an interval of fewer says nothing
VARIETY = 10  # the cutoff of diversity and novelty
GATE = "ndcg_at_10"  # the metric that decides
GROUP_METRICS = (GATE, "recall_at_10", "revenue_at_10")


@dataclass(frozen=True)
class Figures:
    """How one model fared.

    Args:
        users: who bought in the held-out days.
        means: over these users by name, see ``training.metrics``.
        intervals: 95 % bootstrap intervals of the means.
        groups: users, means and intervals of each group, such as ``segment=loyal`` or ``age=25-34``.
    """

    users: int
    means: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    groups: dict[str, dict]


def attributes(lake: str, day: date, users: list[str]) -> dict[str, np.ndarray]:
    """What the shop knows of its users beside events: name -> str[users], empty where unknown.

    Of ``profiles.users`` only this is the same before and after the cut; none where the lake has no such table.
    """
    if not DeltaTable.is_deltatable(table_uri(lake, "profiles.users")):
        return {}
    rows = read_night(open_table(lake, "profiles.users"), "profiles.users", day, ["user_id", "attributes"])
    told = zip(rows["user_id"].to_pylist(), rows["attributes"].to_pylist(), strict=True)
    known = {user: dict(pairs or ()) for user, pairs in told}
    names = sorted({name for each in known.values() for name in each})
    return {name: np.array([known.get(user, {}).get(name) or "" for user in users]) for name in names}


class HeldOut:
    """Users who bought in the held-out days of a night, and what each of them bought.

    Args:
        night: with its held-out days.
        attributes: name -> str[all users of the night].

    Raises:
        ValueError: if nobody bought in the held-out days.
    """

    def __init__(self, night: Night, attributes: dict[str, np.ndarray] | None = None):
        later, seen = night.histories.between(night.cut, night.end), night.histories.between(-np.inf, night.cut)
        self.users = np.flatnonzero(np.diff(later.offsets))
        if not len(self.users):
            raise ValueError(
                f"behaviour.histories: nobody bought in the held-out days before {night.day}; nothing to judge"
            )
        self.night, self.relevant = night, _relevant(later, self.users)
        pairs = np.unique(np.stack([seen.users, seen.items]), axis=1)
        # an item that nobody bought counts as bought by half a user: -log2 of 0 would be all that a mean tells
        self._share = np.maximum(np.bincount(pairs[1], minlength=len(night.item_ids)), 0.5) / len(night.user_ids)
        labels = {"segment": _segments(night)} | {
            name: values for name, values in (attributes or {}).items() if name in GROUPED
        }
        self.groups = {
            f"{name}={label}": values[self.users] == label
            for name, values in labels.items()
            for label in np.unique(values[self.users])
            if label and (values[self.users] == label).sum() >= LEAST
        }

    def values(self, tops: np.ndarray) -> dict[str, np.ndarray]:
        """Each metric of each user's list: ``tops`` int64[users, 20], best first."""
        found = accuracy(tops, self.relevant)
        # of lists that a small catalogue can't fill, variety has no meaning
        return found | (variety(tops, self.night.paths, self._share, VARIETY) if tops[:, :VARIETY].min() >= 0 else {})

    def figures(self, tops: np.ndarray) -> Figures:
        """Means, intervals and groups of :meth:`values`, and the coverage of the catalogue."""
        values = self.values(tops)
        means, bounds = _told(values)
        covered = {f"coverage_at_{k}": coverage(tops, len(self.night.item_ids), k) for k in CUTOFFS}
        groups = {}
        for name, chosen in self.groups.items():
            mean, bound = _told({metric: values[metric][chosen] for metric in GROUP_METRICS if metric in values})
            groups[name] = {"users": int(chosen.sum()), "means": mean, "intervals": bound}
        return Figures(len(self.users), means | covered, bounds, groups)


def _told(values: dict[str, np.ndarray]) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    stacked = np.stack(list(values.values()), axis=1)
    lower, upper = intervals(stacked)
    means = dict(zip(values, stacked.mean(0).tolist(), strict=True))
    return means, dict(zip(values, zip(lower.tolist(), upper.tolist(), strict=True), strict=True))


def _relevant(later, users: np.ndarray) -> Relevant:
    """The distinct items of each of ``users``, ascending, and what was paid for all lines of each."""
    width = int(later.items.max()) + 1
    key, line = np.unique(later.users * width + later.items, return_inverse=True)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(key // width, minlength=len(later.offsets) - 1)[users])])
    spent = None if np.isnan(later.amounts).all() else np.bincount(line, np.nan_to_num(later.amounts))
    return Relevant(offsets, key % width, spent)


def _segments(night: Night) -> np.ndarray:
    """As ``profiles.users`` has them, but at the cut: that table of the night knows the held-out days."""
    recent = night.histories.between(night.cut - RECENT, night.cut)
    pairs = np.unique(np.stack([recent.users, recent.baskets]), axis=1)
    baskets = np.bincount(pairs[0], minlength=len(night.user_ids))
    return np.array(SEGMENTS)[np.digitize(baskets, [1, NEW + 1, OCCASIONAL + 1])]
