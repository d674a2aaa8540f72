"""Whether elasticities of the first half of the Complete Journey's year foretell what households did in the second."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from pyspark.sql import functions as F
from scipy.stats import spearmanr

import schemas
from benchmarks import Goal
from benchmarks.accuracy import journey
from benchmarks.profiles.customers import QUICK, RESAMPLES, SEED
from jobs.catalogue.elasticities import elasticities
from jobs.lake import Lake, session
from jobs.profiles.totals import totals
from jobs.profiles.users import users

HALF = date(2017, 6, 30)  # the last day of the first half
TOLD = ("discount_share", "discount_elasticity", "price_elasticity")
OURS, RAW = "discount_elasticity", "discount_share"


def compare(quick: bool) -> dict:
    """Rank correlations over households with purchases in both halves, with 95 % intervals from resampled households.

    ``discounts`` asks what share of their lines is at a discount, ``prices`` how dear they buy the same items (the mean
    logarithm of a line's price over all households' for the item), ``categories`` what the second half's elasticity is
    by itself.
    """
    first, second = _halves(quick)
    by_user = {row["user_id"]: row for row in first["users"].to_pylist()}
    later = _later(journey.prepare())
    both = sorted(by_user.keys() & later.keys())
    known = {name: np.array([by_user[user][name] for user in both], dtype=np.float64) for name in TOLD}
    came = {name: np.array([later[user][name] for user in both]) for name in ("discounted", "dearer")}
    curves = {row["category"]: row for row in first["categories"].to_pylist()}
    pairs = [
        (curves[row["category"]], row["estimate"])
        for row in second.to_pylist()
        if row["estimate"] is not None and curves[row["category"]]["estimate"] is not None
    ]
    own, shrunk = (np.array([row[name] for row, _ in pairs]) for name in ("estimate", "elasticity"))
    then = np.array([estimate for _, estimate in pairs])
    return {
        "discounts": _ranked({name: known[name] for name in (OURS, RAW)}, came["discounted"]) | {"users": len(both)},
        "prices": _ranked({"price_elasticity": known["price_elasticity"]}, came["dearer"]),
        "categories": {
            "categories": len(pairs),
            "median": float(np.median(shrunk)),
            "rank correlation": float(spearmanr(shrunk, then)[0]),
            "mean error": float(np.abs(shrunk - then).mean()),
            "mean error, by its own weeks": float(np.abs(own - then).mean()),
            "mean error, the mean of all": float(np.abs(shrunk.mean() - then).mean()),
        },
    }


def _halves(quick: bool) -> tuple[dict[str, pa.Table], pa.Table]:
    """By the jobs of the night: users and categories as the first half has them, and categories as the second has."""
    spark = session("benchmark")
    try:
        lake = Lake(spark, str(journey.prepare()))
        log, items = lake.read(schemas.table("behaviour.log")), lake.read(schemas.table("catalogue.items"))
        if quick:
            log = log.where(F.pmod(F.xxhash64("user_id"), F.lit(QUICK)) == 0)
        early = log.where(F.col("day") <= F.lit(HALF))
        nobody = spark.createDataFrame([], schemas.table("profiles.preferences").ddl)
        curves = elasticities(early, items, day=HALF)
        so_far = totals(early, None, None, nobody, day=HALF).localCheckpoint()
        told = users(so_far, items, curves, None, nobody, day=HALF).select("user_id", *TOLD).where("purchases > 0")
        late = elasticities(log.where(F.col("day") > F.lit(HALF)), items, day=journey.LAST)
        return {"users": told.toArrow(), "categories": curves.toArrow()}, late.toArrow()
    finally:
        spark.stop()


def _later(lake) -> dict[str, dict[str, float]]:
    """Of each household in the second half: share of lines at a discount, and how dear it bought the same items."""
    log = DeltaTable(str(lake / "behaviour/log")).to_pyarrow_dataset()
    asked = (pc.field("event_type") == "purchase") & (pc.field("day") > pa.scalar(HALF))
    lines = log.to_table(filter=asked, columns=["user_id", "item_id", "unit_price", "discount"])
    names, items = pc.unique(lines["user_id"]), pc.unique(lines["item_id"])
    user, item = (pc.index_in(lines[name], each).to_numpy() for name, each in (("user_id", names), ("item_id", items)))
    price = lines["unit_price"].to_numpy(zero_copy_only=False)
    priced = price > 0
    logarithm = np.log(price, out=np.zeros(len(price)), where=priced)
    mean = np.bincount(item, logarithm) / np.maximum(np.bincount(item, priced), 1)
    apart = np.bincount(user, np.where(priced, logarithm - mean[item], 0)) / np.maximum(np.bincount(user, priced), 1)
    discounted = np.bincount(user, lines["discount"].to_numpy() > 0) / np.bincount(user)
    return {
        name: {"discounted": float(share), "dearer": float(dear)}
        for name, share, dear in zip(names.to_pylist(), discounted, apart, strict=True)
    }


def _ranked(told: dict[str, np.ndarray], came: np.ndarray) -> dict:
    """Rank correlation of each with what came, and how far the first is ahead of the others."""
    rng, draws = np.random.default_rng(SEED), {name: [] for name in told}
    for _ in range(RESAMPLES):
        again = rng.integers(len(came), size=len(came))
        for name, each in told.items():
            draws[name].append(spearmanr(each[again], came[again])[0])
    first, *others = told
    figures = {
        name: {
            "rank correlation": float(spearmanr(each, came)[0]),
            "95 %": np.quantile(draws[name], [0.025, 0.975]).round(4).tolist(),
        }
        for name, each in told.items()
    }
    for name in others:
        ahead = np.array(draws[first]) - np.array(draws[name])
        figures[name]["ours ahead by, 95 %"] = np.quantile(ahead, [0.025, 0.975]).round(4).tolist()
    return figures


def goals(found: dict) -> dict[str, Goal]:
    told, categories = found["discounts"], found["categories"]
    return {
        "rank correlation of discount elasticity with later discounts, a constant's": Goal(
            0.0, told[OURS]["95 %"][0], least=True
        ),
        "rank correlation of discount elasticity with later discounts, discount_share's": Goal(
            round(told[RAW]["rank correlation"], 4), round(told[OURS]["rank correlation"], 4), least=True
        ),
        "mean error of a category's price elasticity, that of its own weeks": Goal(
            round(categories["mean error, by its own weeks"], 4), round(categories["mean error"], 4)
        ),
    }


def table(found: dict) -> list[list[str]]:
    told, price, categories = found["discounts"], found["prices"]["price_elasticity"], found["categories"]
    ours = f"{told[OURS]['rank correlation']:.4f}"
    rows = [
        ["discounts, the next half-year", "rank correlation", ours, "a constant", f"{0:.4f}"],
        ["discounts, the next half-year", "rank correlation", ours, RAW, f"{told[RAW]['rank correlation']:.4f}"],
        [
            "prices, the next half-year",
            "rank correlation",
            f"{price['rank correlation']:.4f}",
            "a constant",
            f"{0:.4f}",
        ],
    ]
    for name in ("its own weeks", "the mean of all"):
        error = categories[f"mean error, by {name}" if name == "its own weeks" else f"mean error, {name}"]
        rows.append(
            ["price elasticity of categories", "mean error", f"{categories['mean error']:.3f}", name, f"{error:.3f}"]
        )
    return rows
