"""What a little less NDCG buys, on weeks that no weight was chosen on: ours beside the usual heuristics."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.accuracy.rolling import interval
from benchmarks.pareto.weeks import Week
from jobs.ranking.trial import Trial

LOSSES = (0.01, 0.02)
RATIOS = (0.0, *np.geomspace(0.005, 4, 24))  # of the other objective's weight to relevance's
Scores = Callable[[Week, float], tuple[np.ndarray, float]]  # at a ratio: scores [n, c], and the weight of diversity


def ours_of_revenue(week: Week, ratio: float) -> tuple[np.ndarray, float]:
    scales = week.scales()
    relevance, revenue = (scales[name].scaled(week.values[name]) for name in ("relevance", "expected_revenue"))
    return relevance + ratio * revenue, 0.0


def uncapped(week: Week, ratio: float) -> tuple[np.ndarray, float]:
    """Ours without the cap on money."""
    scales = week.scales()
    relevance = scales["relevance"].scaled(week.values["relevance"])
    money = replace(scales["expected_revenue"], cap=np.inf).scaled(week.values["expected_revenue"])
    return relevance + ratio * money, 0.0


def priced(week: Week, ratio: float) -> tuple[np.ndarray, float]:
    """Relevance times a power of the price, as shops do it by hand."""
    return week.values["relevance"].filled(0.0) * np.maximum(week.price, 0.01) ** ratio, 0.0


def within_users(week: Week, ratio: float) -> tuple[np.ndarray, float]:
    """The fixed weighted sum of objectives that are scaled within each user."""
    return _within(week.values["relevance"]) + ratio * _within(week.values["expected_revenue"]), 0.0


def ours_of_diversity(week: Week, ratio: float) -> tuple[np.ndarray, float]:
    return week.scales()["relevance"].scaled(week.values["relevance"]), ratio


def diverse_within_users(week: Week, ratio: float) -> tuple[np.ndarray, float]:
    """MMR on relevance that is scaled within each user."""
    return _within(week.values["relevance"]), ratio


REVENUE: dict[str, Scores] = {
    "ours": ours_of_revenue,
    "ours without a cap": uncapped,
    "fixed sum within users": within_users,
    "price-weighted": priced,
}
DIVERSITY: dict[str, Scores] = {"ours": ours_of_diversity, "MMR within users": diverse_within_users}


def bought(weeks: list[Week], ways: dict[str, Scores], measure: str) -> dict[str, dict[str, dict]]:
    """By way and loss: the gain of ``measure`` and the NDCG lost, each a share with its 95 % interval.

    For each week but the first, a way's ratio is the one that gained most on the weeks before while it lost no more
    NDCG than it may; the week then tells what it gains and loses.
    """
    told: dict[str, dict[str, dict]] = {}
    for title, scores in ways.items():
        tried = [_tried(week, scores, measure) for week in weeks]
        told[title] = {f"{loss:.0%} NDCG": _judged(tried, weeks, loss) for loss in LOSSES}
    return told


def _tried(week: Week, scores: Scores, measure: str) -> np.ndarray:
    """float64 [ratios, 2, n]: NDCG and the measure."""
    found = []
    for ratio in RATIOS:
        values, diversity = scores(week, ratio)
        trial = Trial({"score": values}, week.units, week.positions, week.taken, week.paid, week.relevant, week.length)
        had = trial.outcomes({"score": np.ones(1), "diversity": np.array([diversity])})
        found.append([had["ndcg"][0], had[measure][0]])
    return np.array(found)


def _judged(tried: list[np.ndarray], weeks: list[Week], loss: float) -> dict:
    lost, gained, users = [], [], []
    for place in range(1, len(tried)):
        before = np.concatenate(tried[:place], axis=2).mean(axis=2)
        kept = before[:, 0] >= (1 - loss) * before[0, 0]
        ratio = int(np.flatnonzero(kept)[before[kept, 1].argmax()])
        now = tried[place]
        lost.append(now[ratio, 0] - now[0, 0])
        gained.append(now[ratio, 1] - now[0, 1])
        users.append(weeks[place].users)
    base = np.concatenate(tried[1:], axis=2)[0].mean(axis=1)
    own, who = [np.concatenate(each) for each in (lost, gained)], np.concatenate(users)
    told = {}
    for name, difference, usual in zip(("ndcg", "gain"), own, base, strict=True):
        low, high = interval(difference / usual, who)
        told |= {name: float(difference.mean() / usual), f"{name}_interval": [low, high]}
    return told


def _within(values: np.ma.MaskedArray) -> np.ndarray:
    """Each row from its lowest to its highest as 0 to 1; 0 where unknown."""
    low, high = (
        np.ma.filled(each, 0.0) for each in (values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True))
    )
    return np.where(np.ma.getmaskarray(values), 0.0, (np.ma.getdata(values) - low) / np.maximum(high - low, 1e-12))
