"""Figures that may leave the house: differentially private counts of buyers, customers and units, kept once drawn."""

import logging
import math
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

import schemas
from jobs.behaviour.consent import unprofiled
from jobs.catalogue.items import UNKNOWN
from jobs.insight import contributions as of
from jobs.insight.noise import Noisy, gaussian, thresholded
from jobs.insight.spending import a_night, affordable, spending
from jobs.privacy import Privacy
from jobs.reads import around, last, on, privacy
from schemas.control import SEGMENTS
from schemas.exports import LONGEST

log = logging.getLogger(__name__)

READS = {
    "log": last("behaviour.log", nights=of.LATELY),
    "users": on("profiles.users"),
    "items": on("catalogue.items"),
    "preferences": on("profiles.preferences"),
    "earlier": around("insight.released", nights=LONGEST, optional=True),
    "privacy": privacy(),
}
TABLE = schemas.table("insight.released")

SHARES = {"buyers": 0.4, "people": 0.05, "value": 0.05, "ages": 0.05, "units": 0.45}  # of a night's rho
# deviations of the noise that an item's buyers, and the people of a mean, have to reach: of 30,000 items that nobody
# bought one does
ABOVE = 4.0


def released(
    log: DataFrame,
    users: DataFrame,
    items: DataFrame,
    preferences: DataFrame,
    earlier: DataFrame | None,
    privacy: Privacy,
    *,
    day: date,
) -> DataFrame:
    """One row a release; none where the budget does not allow the night's.

    The one table that is not a function of what it reads: noise is drawn without a seed, for who knew the seed could
    take it off. So a night that was released is never drawn again: a rerun hands on its rows, and spends nothing. What
    a night draws is (epsilon, delta)-differentially private for one user added or taken away, with all their rows. The
    catalogue's items and categories, and the names of segments, are taken to be known to everybody.

    Args:
        log: behaviour.log of the last 28 nights.
        users: profiles.users of the night.
        items: catalogue.items of the night.
        preferences: profiles.preferences of the night: who wants no profile is counted nowhere.
        earlier: this table's rows, of tonight and of the nights around it; None where there are none yet.
        privacy: what may be spent.
        day: the night.
    """
    spent = spending(earlier)
    if day in spent:
        return earlier.where(F.col("day") == F.lit(day))
    if not privacy.epsilon or not affordable(spent, day, privacy):
        _told_none(privacy)
        return users.sparkSession.createDataFrame([], TABLE.ddl)
    refusing = unprofiled(preferences)
    log, users = (frame.join(refusing, "user_id", how="left_anti") for frame in (log, users))
    night = a_night(privacy)
    rho = {name: night.rho * share for name, share in SHARES.items()}
    rows = [
        buyers(items_bought(of.bought(log, of.LATELY, day), items), rho["buyers"]),
        *_groups(of.groups(users, privacy.most_value), privacy.most_value, rho),
        _ages(of.ages(users), rho["ages"], night.delta),
        units(categories_bought(of.units(of.bought(log, of.WEEK, day), items), items), rho["units"]),
    ]
    return users.sparkSession.createDataFrame([(day, *row) for row in rows], TABLE.ddl)


def items_bought(lines: DataFrame, items: DataFrame) -> pa.Table:
    """``item_id`` and ``people`` of every item of the catalogue."""
    return _of_everybody(items.select("item_id"), of.buyers(lines), "item_id", "people")


def categories_bought(counted: DataFrame, items: DataFrame) -> pa.Table:
    """``category`` and ``thousandths`` of every category of the catalogue, by those of ``contributions.units``."""
    categories = items.where(F.col("category") != UNKNOWN).select("category").distinct()
    return _of_everybody(categories, counted, "category", "thousandths")


def buyers(counted: pa.Table, rho: float) -> tuple:
    """The release of buyers, from :func:`items_bought`: the columns of a row after ``day``."""
    bound = math.sqrt(of.ITEMS)
    noisy = gaussian(counted["people"].to_numpy(), bound, rho)
    # left out by what was drawn, not by what it hides: that costs nothing
    stands = np.flatnonzero(noisy.figures >= ABOVE * noisy.scale)
    ids = counted["item_id"].take(pa.array(stands)).to_pylist()
    return _row("buyers", dict(zip(ids, noisy.figures[stands], strict=True)), noisy, bound)


def units(counted: pa.Table, rho: float) -> tuple:
    """The release of units, from :func:`categories_bought`: the columns of a row after ``day``."""
    noisy = gaussian(counted["thousandths"].to_numpy(), of.UNITS * of.THOUSAND, rho)
    figures = dict(zip(counted["category"].to_pylist(), noisy.figures / of.THOUSAND, strict=True))
    return _row("units", figures, noisy, of.UNITS, of.THOUSAND)


def _groups(counted: DataFrame, most: float, rho: dict[str, float]) -> list[tuple]:
    found = {row["segment"]: row for row in counted.collect()}
    people, cents = (
        np.array([found[name][column] if name in found else 0 for name in SEGMENTS], dtype=np.int64)
        for column in ("people", "cents")
    )
    many = gaussian(people, 1.0, rho["people"])
    money = gaussian(cents, most * of.CENTS, rho["value"])
    means = np.clip(money.figures / of.CENTS / np.maximum(many.figures, 1), 0, most)
    told = zip(SEGMENTS, means, many.figures >= ABOVE * many.scale, strict=True)
    return [
        _row("people", dict(zip(SEGMENTS, many.figures, strict=True)), many, 1.0),
        _row("value", {name: mean for name, mean, stands in told if stands}, money, most, of.CENTS),
    ]


def _ages(counted: DataFrame, rho: float, delta: float) -> tuple:
    noisy = thresholded({row["age"]: row["people"] for row in counted.collect()}, rho, delta)
    return _row("ages", dict(sorted(noisy.figures.items())), noisy, 1.0)


def _of_everybody(known: DataFrame, counted: DataFrame, key: str, count: str) -> pa.Table:
    """``counted`` at each of the ``known`` keys, in their order, 0 where nobody is."""
    every = known.join(counted, on=key, how="left").select(key, F.coalesce(count, F.lit(0)).alias(count))
    return every.toArrow().sort_by(key)


def _row(name: str, figures: dict, noisy: Noisy, bound: float, unit: int = 1) -> tuple:
    told = {key: max(float(figure), 0.0) for key, figure in figures.items()}
    return name, told, noisy.scale / unit, bound, noisy.threshold, noisy.rho, noisy.delta


def _told_none(privacy: Privacy) -> None:
    if privacy.epsilon:
        log.warning("insight.released: the budget of %d nights is spent, nothing is released", privacy.window)
    else:
        log.info("insight.released: NIGHT_EPSILON is 0, nothing is released")
