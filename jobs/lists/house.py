"""The rules in force on a surface, and what the rows of a list tell of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from pyspark.sql import Row

from jobs.lists.asking import REFUSING
from jobs.lists.named import Named
from jobs.lists.reasons import of_campaign
from jobs.ranking.rules import Rule, Ruled

CHEAPEST_FIRST = "sort_by_price"
VARIETY = {"more_variety": 2.0, "less_variety": 0.5}  # what they multiply the weight of diversity by


@dataclass(frozen=True)
class House:
    """What the shop's own hand does on a surface.

    Args:
        rules: in the order of their ids.
        campaigns: by the id of a rule that belongs to one: its name, and its last day or None.
    """

    rules: list[Rule]
    campaigns: dict[str, tuple[str, date | None]]

    @classmethod
    def of(cls, named: Named, rows: Sequence[Row], surface: str) -> "House":
        """Of the active rows of lists.rules."""
        told = {row["rule_id"]: (row["campaign_id"], row["end_day"]) for row in rows if row["campaign_id"] is not None}
        return cls(named.rules(rows, surface), told)

    @property
    def without_campaigns(self) -> list[Rule]:
        """The rules but for the boosts of campaigns."""
        return [rule for rule in self.rules if rule.action != "boost" or rule.rule_id not in self.campaigns]

    def boosted(self, held: Ruled) -> np.ndarray:
        """bool [n, c]: the candidates that campaigns boost."""
        mine = [r.rule_id for r in self.rules if r.action == "boost" and r.rule_id in self.campaigns]
        none = np.zeros(held.allowed.shape, bool)
        return np.logical_or.reduce([none, *(held.moved[rule_id] for rule_id in mine)])

    def reasons(self, held: Ruled, users: np.ndarray, picks: np.ndarray, brought: np.ndarray) -> list[str | None]:
        """For each row of the lists the campaign that put the item there; None where none did.

        Args:
            held: the candidates as the rules see them.
            users, picks: int64 [rows], whose row and which candidate it is.
            brought: bool [rows], False where the item would stand in the list without the boosts of campaigns.
        """
        told: list[str | None] = [None] * len(users)
        for rule in self.rules:
            if rule.action not in ("pin", "boost") or rule.rule_id not in self.campaigns:
                continue
            hit = held.moved.get(rule.rule_id, np.zeros_like(held.allowed))[users, picks]
            for row in np.flatnonzero(hit if rule.action == "pin" else hit & brought):
                told[row] = told[row] or of_campaign(*self.campaigns[rule.rule_id])
        return told


def weights(plain: Mapping[str, np.ndarray], wishes: Sequence[Sequence[dict]]) -> dict[str, np.ndarray]:
    """float64 [n] by objective: the night's weights, moved by each user's wish for variety; they sum to 1.

    Who wants no personalisation or no profile gets relevance alone, which then is what everybody's taste says.

    Args:
        plain: float64 [n] by objective.
        wishes: of each user.
    """
    asked = [{wish["preference"] for wish in each} for each in wishes]
    mixed = dict(plain)
    mixed["diversity"] = plain["diversity"] * [
        np.prod([by for name, by in VARIETY.items() if name in each]) for each in asked
    ]
    total = sum(mixed.values())
    refuses = np.array([not each.isdisjoint(REFUSING) for each in asked], bool)
    return {name: np.where(refuses, name == "relevance", weight / total) for name, weight in mixed.items()}


def moved_by(
    held: Ruled, wishes: Sequence[Sequence[dict]], users: np.ndarray, picks: np.ndarray, resorted: np.ndarray
) -> list[list[str]]:
    """For each row of the lists the rules and wishes that moved it, sorted; see :meth:`House.reasons` for the rows.

    Wishes that shape a list as a whole stand in each of its rows, and ``sort_by_price`` where it changed the rank:
    bool [rows] ``resorted``.
    """
    told: list[list[str]] = [[] for _ in users]
    for name, mask in held.moved.items():
        for row in np.flatnonzero(mask[users, picks]):
            told[row].append(name)
    whole = [_whole({wish["preference"] for wish in each}) for each in wishes]
    for row, user in enumerate(users):
        told[row] = sorted(told[row] + whole[user] + [CHEAPEST_FIRST] * bool(resorted[row]))
    return told


def _whole(asked: set[str]) -> list[str]:
    """The wishes that shape a whole list; those for more and for less variety take each other back."""
    if refused := asked.intersection(REFUSING):
        return sorted(refused)
    variety = asked & VARIETY.keys()
    return sorted(variety) if len(variety) == 1 else []
