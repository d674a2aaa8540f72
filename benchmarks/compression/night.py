"""The night's held-out users, and how well lists foresee what they take."""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from training import data
from training.data import Histories, Night
from training.held_out import HeldOut
from training.judge import TOP
from training.served import Served

LISTED = 10
QUICK_ITEMS, QUICK_USERS = 2000, 300


@dataclass(frozen=True)
class Asked:
    """A night, and the users who bought in its held-out days."""

    night: Night
    held_out: HeldOut

    def tops(self, served: Served) -> np.ndarray:
        """int64[users, 20]: each user's best."""
        return served.tops(self.night, self.held_out.users, TOP)

    def accuracy(self, tops: np.ndarray, beside: np.ndarray) -> dict[str, float]:
        """Of lists, and the share of the first ten that stand in the first ten of the lists ``beside`` as well."""
        means = self.held_out.figures(tops).means
        return {
            "ndcg@10": means["ndcg_at_10"],
            "recall@10": means["recall_at_10"],
            "kept": kept(tops[:, :LISTED], beside[:, :LISTED]),
        }


def kept(lists: np.ndarray, beside: np.ndarray) -> float:
    """The share of the items of ``beside``, int64[users, k], that the same user has in ``lists``; the order is free."""
    return float((lists[:, :, None] == beside[:, None, :]).any(1).mean())


def load(lake: str, day: date, quick: bool) -> Asked:
    """The night of the lake; ``quick`` has the first few of its items and users alone."""
    night = data.load(lake, day)
    night = part(night, QUICK_ITEMS, QUICK_USERS) if quick else night
    return Asked(night, HeldOut(night))


def part(night: Night, items: int, users: int) -> Night:
    """The night with its first items and users, as if there had never been others."""
    seen = night.histories
    chosen = (seen.items < items) & (seen.users < users)
    offsets = np.concatenate([[0], np.cumsum(chosen)])[seen.offsets[: users + 1]]
    events = (getattr(seen, name)[chosen] for name in ("items", "times", "amounts", "baskets"))
    return replace(
        night,
        user_ids=night.user_ids[:users],
        item_ids=night.item_ids[:items],
        known=min(night.known, items),
        text_of=night.text_of[:items],
        tags=night.tags[:items],
        paths=night.paths[:items],
        histories=Histories(offsets, *events),
    )
