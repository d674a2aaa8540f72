"""Cohorts: groups of users for campaigns and exports, told so coarsely that each stands among at least k."""

import logging
from collections import Counter
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.behaviour.consent import unprofiled
from jobs.privacy import Privacy
from jobs.reads import on, privacy
from schemas.exports import ANY, COHORT, UNKNOWN

log = logging.getLogger(__name__)

READS = {
    "users": on("profiles.users"),
    "segments": on("profiles.segments"),
    "topics": on("profiles.topics"),
    "preferences": on("profiles.preferences"),
    "privacy": privacy(),
}


def cohorts(
    users: DataFrame, segments: DataFrame, topics: DataFrame, preferences: DataFrame, privacy: Privacy, *, day: date
) -> DataFrame:
    """One row a user who agreed to a profile; none at all where these are fewer than k.

    Different combinations of COHORT, of which there are far fewer than users, are counted on the driver.

    Args:
        users: profiles.users of the night.
        segments: profiles.segments of the night.
        topics: profiles.topics of the night.
        preferences: profiles.preferences of the night.
        privacy: says k.
        day: the night.
    """
    known = _known(users.join(unprofiled(preferences), "user_id", how="left_anti"), segments, topics)
    counted = known.groupBy(*COHORT).agg(F.count(F.lit(1)).alias("people")).collect()
    told = generalised({tuple(row)[:-1]: row["people"] for row in counted}, privacy.k)
    if not told:
        people = sum(row["people"] for row in counted)
        log.warning("%s: %d people, a cohort needs %d: no cohorts", day, people, privacy.k)
    names = [f"_{name}" for name in COHORT]
    pairs = users.sparkSession.createDataFrame(
        [(*cell, *group) for cell, group in sorted(told.items())],
        ", ".join(f"{name} string" for name in (*names, *COHORT)),
    )
    placed = known.toDF("user_id", *names).join(F.broadcast(pairs), on=names, how="inner")
    return placed.select(F.lit(day).alias("day"), "user_id", *COHORT)


def generalised(cells: dict[tuple[str, ...], int], k: int) -> dict[tuple[str, ...], tuple[str, ...]]:
    """What is told of whom, so that at least k people are told the same; empty if they are fewer.

    k or more of one cell are told as they are. Of the others the last column is not told, but ANY; then, of those who
    are too few even so, the last two, and so on. Should fewer than k be left in the end, the smallest of the coarsest
    groups joins them, told nothing of.

    Args:
        cells: by the values of all columns, how many people.
    """
    left, told = dict(cells), {}
    for shown in range(len(COHORT), -1, -1):
        groups = Counter()
        for cell, people in left.items():
            groups[_shown(cell, shown)] += people
        told |= {cell: _shown(cell, shown) for cell in left if groups[_shown(cell, shown)] >= k}
        left = {cell: people for cell, people in left.items() if cell not in told}
    if left and told:
        groups = Counter()
        for cell, group in told.items():
            groups[group] += cells[cell]
        smallest = min(groups, key=lambda group: (-group.count(ANY), groups[group], group))
        joining = [*left, *(cell for cell, group in told.items() if group == smallest)]
        told |= dict.fromkeys(joining, _shown(smallest, 0))
    return told


def age_group(attributes: str) -> Column:
    """``age`` of a map of attributes: as the shop has it, but years as their decade, ``30-39``; null if unknown."""
    age = F.trim(F.col(attributes)["age"])
    decade = F.floor(age.try_cast("int") / 10) * 10
    years = F.concat(decade.cast("string"), F.lit("-"), (decade + 9).cast("string"))
    return F.when(age.rlike(r"^\d{1,3}$"), years).when(age != "", age)


def _known(users: DataFrame, segments: DataFrame, topics: DataFrame) -> DataFrame:
    """``user_id`` and COHORT."""
    income = F.trim(F.col("attributes")["income"])
    rows = users.select(
        "user_id",
        F.col("segment").alias("loyalty"),
        age_group("attributes").alias("age"),
        F.when(income != "", income).alias("income"),
    )
    rows = rows.join(segments.select("user_id", "segment"), on="user_id", how="left")
    rows = rows.join(topics.select("user_id", "topic"), on="user_id", how="left")
    return rows.select("user_id", *(F.coalesce(name, F.lit(UNKNOWN)).alias(name) for name in COHORT))


def _shown(cell: tuple[str, ...], columns: int) -> tuple[str, ...]:
    return cell[:columns] + (ANY,) * (len(cell) - columns)
