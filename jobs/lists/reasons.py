"""Why an item is in a list: one sentence a shopper could read, true for that shopper and that item."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from jobs.lists.popularity import NIGHTS, Popularity

SIMILAR = 0.5  # cosine from which one item explains another
RHYTHM = 3  # days with a purchase from which "about every n days" means something
CROWD = 5  # fewer shoppers than this are not named as a number, they could know each other
LONGEST_TITLE = 200


def personal(
    history: tuple[np.ndarray, np.ndarray],
    picks: np.ndarray,
    units: np.ndarray,
    titles: Sequence[str],
    *,
    buys: bool,
    day: date,
) -> list[str | None]:
    """A reason from the user's own history for each pick, None where the history explains nothing.

    Args:
        history: positions int64 [h] and days datetime64[D] [h] oldest first; position -1 is unknown.
        picks: positions int64 [k].
        units: float32 [items, d], item vectors of unit length.
        titles: of the items.
        buys: whether the history holds purchases; otherwise the user only looked.
        day: the night.
    """
    positions, days = (values[history[0] >= 0] for values in history)
    if not len(positions):
        return [None] * len(picks)
    distinct, last = np.unique(positions[::-1], return_index=True)
    last_days = days[::-1][last]
    cosines = np.einsum("kd,hd->kh", units[picks], units[distinct])
    reasons: list[str | None] = []
    for pick, cosine in zip(picks, cosines, strict=True):
        nearest = int(cosine.argmax())
        if pick in distinct:
            reasons.append(_again(np.unique(days[positions == pick]).tolist(), buys, day))
        elif cosine[nearest] >= SIMILAR:
            verb = "bought" if buys else "looked at"
            when = in_words(last_days[nearest].item())
            reasons.append(f"Because you {verb} {_short(titles[distinct[nearest]])} on {when}.")
        else:
            reasons.append(None)
    return reasons


def _again(days: list[date], buys: bool, day: date) -> str:
    last = in_words(days[-1])
    if not buys:
        return f"You looked at this on {last}."
    gap = (days[-1] - days[0]) / max(len(days) - 1, 1)
    # a rhythm that has stopped is no longer "you buy"
    if len(days) < RHYTHM or day - days[-1] > 2 * gap:
        return f"You bought this on {last}."
    nights = round(gap / timedelta(days=1))
    return f"You buy this about every {'day' if nights == 1 else f'{nights} days'}, last on {last}."


def from_others(item: int, group: str | None, popularity: Popularity) -> str:
    """The reason for the item at a position: what the user's group does, what everybody does, or that it is on sale."""
    crowds = [(popularity.column(group), f"shoppers {group}")] if group in popularity.columns else []
    for column, who in [*crowds, (popularity.column(None), "shoppers")]:
        for verb, counts in (("Bought", popularity.buyers), ("Looked at or bought", popularity.shoppers)):
            if counts[item, column] >= CROWD:
                return f"{verb} by {counts[item, column]} {who} in the last {NIGHTS // 7} weeks."
    return "On sale now."


def of_campaign(campaign: str, until: date | None) -> str:
    """The reason for an item that a rule of the campaign put into the list."""
    return f"Part of our campaign {_short(campaign)}" + (f", until {in_words(until)}." if until else ".")


def in_words(day: date) -> str:
    """31 December 2017."""
    return f"{day.day} {day:%B %Y}"


def _short(title: str) -> str:
    return title if len(title) <= LONGEST_TITLE else title[: LONGEST_TITLE - 1] + "…"
