"""Units a day of the Complete Journey's categories and best-selling items, foretold 28 days ahead from four nights."""

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from benchmarks import Goal
from benchmarks.accuracy import journey
from benchmarks.profiles.customers import END, QUICK
from jobs.insight import forecasts
from jobs.insight.demand import HORIZON, Foretold, foretell, interval, level, seldom

NIGHTS, QUICK_NIGHTS = 4, 1  # the last one HORIZON days before the end
BETTER, COVERED = 0.85, (0.87, 0.93)  # of seasonal-naive's error; of days within the 90 % interval
LEVELS = ("category", "item")


def compare(quick: bool) -> dict:
    """Figures by level, pooled over nights and series."""
    return {f"demand, {name}": _judged(load(name, quick), quick) for name in LEVELS}


def load(name: str, quick: bool) -> np.ndarray:
    """float64[series, days]: units of every category with a sale, or of the items that a night would foretell."""
    lake = journey.prepare()
    log = DeltaTable(str(lake / "behaviour/log")).to_pyarrow_dataset()
    lines = log.to_table(filter=pc.field("event_type") == "purchase", columns=["item_id", "day", "quantity"])
    if name == "category":
        items = DeltaTable(str(lake / "catalogue/items")).to_pyarrow_table(columns=["item_id", "category", "day"])
        items = items.filter(pc.field("category") != forecasts.UNKNOWN).select(["item_id", "category"])
        lines = lines.join(items, "item_id", join_type="inner")
    units = pc.fill_null(lines["quantity"], 1.0).to_numpy()
    names = pc.unique(lines[name if name == "category" else "item_id"]).sort()
    series = pc.index_in(lines[name if name == "category" else "item_id"], names).to_numpy()
    day = lines["day"].cast(pa.int32()).to_numpy() - (END - forecasts.HISTORY + 1)
    sold = np.zeros((len(names), forecasts.HISTORY))
    np.add.at(sold, (series[day >= 0], day[day >= 0]), units[day >= 0])
    if name == "item":
        # by the days before the first night that is judged
        before = sold[:, : -NIGHTS * HORIZON]
        often = (before[:, -forecasts.LATELY :] > 0).sum(1)
        best = np.argsort(-often, kind="stable")[: forecasts.ITEMS]
        sold = sold[best[often[best] >= forecasts.OFTEN]]
    return sold[::QUICK] if quick else sold


def _judged(sold: np.ndarray, quick: bool) -> dict:
    off, naive, total, within, days, models = 0.0, 0.0, 0.0, 0, 0, defaultdict(int)
    by_night = []
    for back in range(1, (QUICK_NIGHTS if quick else NIGHTS) + 1):
        end = sold.shape[1] - back * HORIZON
        known = [(series[:end], series[end : end + HORIZON]) for series in sold if series[:end].any()]
        told = [foretell(past[np.flatnonzero(past)[0] :]) for past, _ in known]
        inside = _inside(told, [came for _, came in known])
        within, days = within + inside.sum(), days + inside.size
        by_night.append(round(float(inside.mean()), 4))
        for one, (past, came) in zip(told, known, strict=True):
            models[one.model] += 1
            off += np.abs(one.units - came).sum()
            naive += np.abs(np.resize(past[-7:], HORIZON) - came).sum()
            total += came.sum()
    return {
        "series": len(sold),
        "models": dict(models),
        "WAPE": float(off / total),
        "WAPE, seasonal-naive": float(naive / total),
        "coverage": float(within / days),
        "coverage by night": by_night,
    }


def _inside(told: list[Foretold], came: list[np.ndarray]) -> np.ndarray:
    """bool[series with an interval, HORIZON]: whether each day lay within, by levels as the night finds them."""
    alike = defaultdict(list)
    for one in told:
        alike[seldom(one)].append(one)
    levels = {kind: level(series) for kind, series in alike.items()}
    inside = []
    for one, days in zip(told, came, strict=True):
        if (bounds := interval(one, levels[seldom(one)])) is not None:
            inside.append((days >= bounds[0]) & (days <= bounds[1]))
    return np.array(inside)


def goals(found: dict) -> dict[str, Goal]:
    figures = found["demand, category"]
    covered = round(figures["coverage"], 4)
    return {
        "WAPE of categories over seasonal-naive's": Goal(
            BETTER, round(figures["WAPE"] / figures["WAPE, seasonal-naive"], 4)
        ),
        "coverage of the 90 % interval, categories, at least": Goal(COVERED[0], covered, least=True),
        "coverage of the 90 % interval, categories, at most": Goal(COVERED[1], covered),
    }


def table(found: dict) -> list[list[str]]:
    rows = []
    for name in LEVELS:
        figures = found[f"demand, {name}"]
        rows.append(
            [
                f"demand, {name}",
                "WAPE",
                f"{figures['WAPE']:.4f}",
                "seasonal-naive",
                f"{figures['WAPE, seasonal-naive']:.4f}",
            ]
        )
        rows.append([f"demand, {name}", "coverage of 90 %", f"{figures['coverage']:.4f}", "goal", "0.87 to 0.93"])
    return rows
