"""What noise costs: the Complete Journey's buyers and demand as insight.released tells them, beside exact ones."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

import schemas
from benchmarks import Goal
from benchmarks.accuracy import journey
from jobs.insight import contributions
from jobs.insight.demand import HORIZON, WEEK, _units
from jobs.insight.released import SHARES, buyers, categories_bought, items_bought, units
from jobs.insight.spending import a_night
from jobs.lake import Lake, session
from jobs.privacy import Privacy

EPSILONS = (0.1, 1.0, 10.0)  # of a night, at the usual delta
TOP, BEST = 100, 50  # items whose counts, and whose place, is judged
WEEKS, AHEAD = 52, HORIZON // WEEK  # the last AHEAD are foretold from those before
DRAWS, QUICK_DRAWS = 5, 1  # of noise, whose figures are averaged


def compare(quick: bool) -> dict:
    """Figures by epsilon; "bounded" is without noise, but with every user's part bounded."""
    lake = Lake(session("benchmark"), str(journey.prepare()))
    try:
        items = lake.read(schemas.table("catalogue.items"), journey.LAST - timedelta(days=1), journey.LAST)
        log = lake.read(schemas.table("behaviour.log"))
        draws = QUICK_DRAWS if quick else DRAWS
        return {"private, buyers": _buyers(log, items, draws), "private, demand": _demand(log, items, draws)}
    finally:
        lake.spark.stop()


def _rho(epsilon: float, name: str) -> float:
    return a_night(Privacy(epsilon=epsilon)).rho * SHARES[name]


def _buyers(log: DataFrame, items: DataFrame, draws: int) -> dict:
    """The night's buyers of the 28 days before it."""
    lines = contributions.bought(log, contributions.LATELY, journey.LAST).localCheckpoint()
    every = lines.groupBy("item_id").agg(F.countDistinct("user_id").alias("people"))
    exact = dict(every.toArrow().to_pandas().itertuples(index=False, name=None))
    counted = items_bought(lines, items)
    bounded = dict(zip(*(counted[name].to_pylist() for name in ("item_id", "people")), strict=True))
    found = {"bounded": judged(bounded, exact)}
    for epsilon in EPSILONS:
        told = [judged(buyers(counted, _rho(epsilon, "buyers"))[1], exact) for _ in range(draws)]
        found[f"epsilon {epsilon:g}"] = {name: float(np.mean([one[name] for one in told])) for name in told[0]}
    return found


def judged(told: dict[str, float], exact: dict[str, float]) -> dict[str, float]:
    """How far ``told`` is off at the TOP items with most buyers, and how many of the BEST it has; what isn't told is 0.

    Items with as many buyers are in order of their ids.
    """
    best = sorted(exact, key=lambda item: (-exact[item], item))
    theirs = sorted((item for item in told if told[item] > 0), key=lambda item: (-told[item], item))
    off = sum(abs(told.get(item, 0) - exact[item]) for item in best[:TOP])
    return {
        "WAPE": off / sum(exact[item] for item in best[:TOP]),
        "of the best": len(set(best[:BEST]) & set(theirs[:BEST])),
        "items told": sum(figure > 0 for figure in told.values()),
    }


def _demand(log: DataFrame, items: DataFrame, draws: int) -> dict:
    """Units of each category in the last AHEAD weeks, foretold from weekly units; a week is released in one night."""
    lines = contributions.bought(log, WEEKS * WEEK, journey.LAST)
    lines = lines.withColumn("week", F.floor(F.datediff(F.lit(journey.LAST), "day") / WEEK).cast("int"))
    sold = F.sum(F.coalesce("quantity", F.lit(1.0)).cast("decimal(18,4)")) * contributions.THOUSAND
    every = lines.join(items.select("item_id", "category"), "item_id", how="inner").groupBy("week", "category")
    names = categories_bought(contributions.units(lines.limit(0), items), items)["category"]
    exact = _weeks(every.agg(sold.cast("bigint").alias("thousandths")), names)
    bounded = _weeks(contributions.units(lines, items, ("week",)), names)
    came = exact / contributions.THOUSAND
    found = {"exact": _off(came, came), "bounded": _off(bounded / contributions.THOUSAND, came)}
    for epsilon in EPSILONS:
        off = [_off(_drawn(bounded, names, _rho(epsilon, "units")), came) for _ in range(min(draws, 2))]
        found[f"epsilon {epsilon:g}"] = {name: float(np.mean([one[name] for one in off])) for name in off[0]}
    return found


def _weeks(counted: DataFrame, names: pa.ChunkedArray) -> np.ndarray:
    """int64[WEEKS, categories]: thousandths of units, the latest week first."""
    rows = counted.toArrow()
    rows = rows.filter(pc.is_in(rows["category"], names))
    weeks = np.zeros((WEEKS, len(names)), dtype=np.int64)
    weeks[rows["week"].to_numpy(), pc.index_in(rows["category"], names).to_numpy()] = rows["thousandths"].to_numpy()
    return weeks


def _drawn(weeks: np.ndarray, names: pa.ChunkedArray, rho: float) -> np.ndarray:
    """float64[WEEKS, categories]: units as so many nights tell them."""
    nights = (pa.table({"category": names, "thousandths": week}) for week in weeks)
    return np.array([list(units(night, rho)[1].values()) for night in nights])


def _off(told: np.ndarray, came: np.ndarray) -> dict[str, float]:
    """Of weekly units float64[WEEKS, categories], the latest week first: the WAPE of what follows from ``told``."""
    error = total = 0.0
    for mine, theirs in zip(told.T[:, ::-1], came.T[:, ::-1], strict=True):
        known = np.repeat(mine[:-AHEAD] / WEEK, WEEK)
        days = _units(known[np.flatnonzero(known)[0] :])[0] if known.any() else np.zeros(HORIZON)
        error += np.abs(days.reshape(AHEAD, WEEK).sum(1) - theirs[-AHEAD:]).sum()
        total += theirs[-AHEAD:].sum()
    inputs = np.abs(told[AHEAD:] - came[AHEAD:]).sum() / came[AHEAD:].sum()
    return {"WAPE": float(error / total), "WAPE of the inputs": float(inputs)}


def goals(found: dict) -> dict[str, Goal]:
    """None: the shop chooses between accuracy and privacy."""
    return {}


def table(found: dict) -> list[list[str]]:
    rows = []
    for name, figures in found["private, buyers"].items():
        told = f"{figures['of the best']:.1f} of {BEST}"
        rows.append(["buyers of the top 100", f"WAPE, {name}", f"{figures['WAPE']:.4f}", "of the best", told])
    for name, figures in found["private, demand"].items():
        inputs = f"{figures['WAPE of the inputs']:.4f}"
        rows.append(["units of four weeks", f"WAPE, {name}", f"{figures['WAPE']:.4f}", "of the inputs", inputs])
    return rows
