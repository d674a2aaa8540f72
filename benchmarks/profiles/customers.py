"""Households of the Complete Journey: what their next 90 days are worth, who leaves, and when they come next."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from scipy.stats import rankdata

from benchmarks import Goal
from benchmarks.accuracy import journey
from jobs.lake import session
from jobs.profiles import churn, outlook
from jobs.profiles.habits import Rhythm
from jobs.profiles.visits import Visits, number, summary

END = number(journey.LAST)
QUICK = 5  # every so many households
CHURN_NIGHTS, QUICK_NIGHTS = 3, 1
NEXT_NIGHTS = (60, 90, 120)  # days before the end: the next purchase is seen if it comes by then
DECILES = 10
RESAMPLES = 500
SEED = 7
# columns of churn.features that a baseline learns from, by the same regression
BASELINES = {"recency": [0], "recency, frequency, money": [0, 1, 7]}


def compare(quick: bool) -> dict:
    """Figures of value, churn and next purchase: our own, and each baseline's."""
    seen = load(quick)
    spark = session("benchmark")
    try:
        nights = [END - churn.HORIZON * back for back in range(1, (QUICK_NIGHTS if quick else CHURN_NIGHTS) + 1)]
        left = _churn(spark, seen, nights)
    finally:
        spark.stop()
    return {"value": _value(seen), "churn": left, "next_purchase": _next(seen)}


def load(quick: bool) -> Visits:
    """Days with a purchase of all households, or of some."""
    log = DeltaTable(str(journey.prepare() / "behaviour/log")).to_pyarrow_dataset()
    lines = log.to_table(filter=pc.field("event_type") == "purchase", columns=["user_id", "day", "amount"])
    daily = lines.group_by(["user_id", "day"]).aggregate([("amount", "sum"), ("amount", "count")])
    daily = daily.sort_by([("user_id", "ascending"), ("day", "ascending")])
    user = pc.index_in(daily["user_id"], pc.unique(daily["user_id"])).to_numpy()
    days = daily["day"].cast(pa.int32()).to_numpy().astype(np.int64)
    offsets = np.searchsorted(user, np.arange(user.max() + 2))
    # cents: sums of doubles depend on the order of the lines
    visits = Visits(offsets, days, daily["amount_count"].to_numpy() > 0, daily["amount_sum"].to_numpy().round(2))
    return visits.only(np.arange(len(visits)) % QUICK == 0) if quick else visits


def gini(score: np.ndarray, value: np.ndarray) -> float:
    """Twice the area between the diagonal and the share of all value that the best-scored customers bring."""
    gained = np.cumsum(value[np.argsort(-score, kind="stable")]) / value.sum()
    return float(2 * (gained.mean() - 0.5))


def auc(score: np.ndarray, label: np.ndarray) -> float:
    """Probability that one who left has the larger score of the two, ties counting half."""
    ones = label.sum()
    return float((rankdata(score)[label].sum() - ones * (ones + 1) / 2) / (ones * (len(label) - ones)))


def calibration_error(probability: np.ndarray, label: np.ndarray) -> float:
    """Mean distance of what was said from what came, over ten bins of as many customers each."""
    bins = np.argsort(np.argsort(probability, kind="stable")) * DECILES // len(probability)
    apart = [abs(probability[bins == each].mean() - label[bins == each].mean()) for each in range(DECILES)]
    return float(np.mean(apart))


def _value(seen: Visits) -> dict:
    """The last 90 days, by what was known before them."""
    night = END - outlook.HORIZON
    known, who = _known(seen, night)
    came = seen.only(who).spent(night + 1, END)
    model = outlook.look(known, night)
    told = summary(known, night)
    rfm = sum(_quintile(each) for each in (-(told.age - told.recency), told.repeats, known.spent(0, night)))
    scores = {
        "ours": model.spend(known, night),
        "ours, lifetime value": model.lifetime.value(told),
        "last 90 days": known.spent(night - outlook.HORIZON + 1, night),
        "RFM score": rfm.astype(float),
    }
    rng, draws = np.random.default_rng(SEED), {name: [] for name in scores}
    for _ in range(RESAMPLES):
        again = rng.integers(len(came), size=len(came))
        for name, score in scores.items():
            draws[name].append(gini(score[again], came[again]))
    figures = {}
    for name, score in scores.items():
        apart = np.array(draws["ours"]) - np.array(draws[name])
        figures[name] = {
            "gini": gini(score, came),
            "ours ahead by, 95 %": np.quantile(apart, [0.025, 0.975]).round(4).tolist(),
            "value by decile": _deciles(score, came),
            "error": None if name in ("RFM score", "ours, lifetime value") else float(np.abs(score - came).mean()),
        }
    return {
        "night": str(date.fromordinal(date(1970, 1, 1).toordinal() + night)),
        "perfect": gini(came, came),
        **figures,
    }


def _churn(spark, seen: Visits, nights: list[int]) -> dict:
    """Pooled over nights, each by a model of what was known then."""
    told: dict[str, list] = {}
    for night in nights:
        known, who = _known(seen, night)
        left = seen.only(who).counts(night + 1, night + churn.HORIZON) == 0
        rows, was_left, _ = churn.examples(known, night)
        now = churn.features(known, night)
        told.setdefault("ours", []).append((churn.fit(spark, known, night).probability(known, night), left))
        for name, columns in BASELINES.items():
            model = churn.regression(spark, rows[:, columns], was_left, 0.0)
            margin = now[:, columns] @ model.coefficients.toArray() + model.intercept
            told.setdefault(name, []).append((1 / (1 + np.exp(-margin)), left))
    return {
        name: {
            "auc": float(np.mean([auc(*night) for night in nights])),
            "calibration error": float(np.mean([calibration_error(*night) for night in nights])),
        }
        for name, nights in told.items()
    }


def _next(seen: Visits) -> dict:
    """Days between when the next purchase was expected and when it came, of those that came."""
    errors: dict[str, list] = {}
    for back in NEXT_NIGHTS:
        night = END - back
        known, who = _known(seen, night)
        later = seen.only(who).where(seen.only(who).days > night)
        has = np.diff(later.offsets) > 0
        came = later.days[later.offsets[:-1][has]] - night
        told = summary(known, night)
        gaps = [np.diff(known.days[start:end]) for start, end in zip(known.offsets, known.offsets[1:], strict=False)]
        everybody = np.median(np.concatenate(gaps))
        own = np.array([np.median(each) if len(each) else everybody for each in gaps])
        waits = {
            "ours": np.rint(Rhythm.of(known).waits(known, night)),
            "the user's median gap": np.maximum(own - (told.age - told.recency), 1),
            "everybody's median gap": np.maximum(everybody - (told.age - told.recency), 1),
        }
        for name, each in waits.items():
            errors.setdefault(name, []).append(np.abs(each[has] - came))
    return {name: {"mean error in days": float(np.concatenate(each).mean())} for name, each in errors.items()}


def _known(seen: Visits, night: int) -> tuple[Visits, np.ndarray]:
    """What the night knows, of those who had bought by then; and who they are."""
    who = seen.counts(0, night) > 0
    return seen.upto(night).only(who), who


def _quintile(values: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.quantile(values, [0.2, 0.4, 0.6, 0.8]), values)


def _deciles(score: np.ndarray, came: np.ndarray) -> list[float]:
    """Mean money of each tenth of the customers, the best-scored first."""
    return [float(each.mean().round(2)) for each in np.array_split(came[np.argsort(-score, kind="stable")], DECILES)]


def goals(found: dict) -> dict[str, Goal]:
    value, left, wait = found["value"], found["churn"], found["next_purchase"]
    beside = max(value[name]["gini"] for name in ("last 90 days", "RFM score"))
    learned = [left[name] for name in BASELINES]
    return {
        "Gini of the next 90 days' value, the best baseline's": Goal(
            round(beside, 4), round(value["ours"]["gini"], 4), least=True
        ),
        "AUC of churn, the best baseline's": Goal(
            round(max(each["auc"] for each in learned), 4), round(left["ours"]["auc"], 4), least=True
        ),
        "calibration error of churn, the best baseline's": Goal(
            round(min(each["calibration error"] for each in learned), 4), round(left["ours"]["calibration error"], 4)
        ),
        "days off the next purchase, the user's median gap's": Goal(
            round(wait["the user's median gap"]["mean error in days"], 2), round(wait["ours"]["mean error in days"], 2)
        ),
    }


def table(found: dict) -> list[list[str]]:
    rows = [["what", "figure", "ours", "baseline", "baseline's"]]
    value = found["value"]
    for name in ("last 90 days", "RFM score", "ours, lifetime value"):
        rows.append(["value, next 90 days", "Gini", f"{value['ours']['gini']:.4f}", name, f"{value[name]['gini']:.4f}"])
    beside = value["last 90 days"]["error"]
    rows.append(["value, next 90 days", "mean error", f"{value['ours']['error']:.1f}", "last 90 days", f"{beside:.1f}"])
    for name in BASELINES:
        for figure in ("auc", "calibration error"):
            ours, theirs = found["churn"]["ours"][figure], found["churn"][name][figure]
            rows.append(["churn, next 28 days", figure, f"{ours:.4f}", name, f"{theirs:.4f}"])
    for name, figures in found["next_purchase"].items():
        if name != "ours":
            ours, theirs = found["next_purchase"]["ours"]["mean error in days"], figures["mean error in days"]
            rows.append(["next purchase", "mean error in days", f"{ours:.2f}", name, f"{theirs:.2f}"])
    return rows
