"""Bring your own: a folder of CSV, JSON-lines or Parquet files with a ``mapping.toml``.

Files in folders that are called like a day (``events/2017-12-31/…``, also ``day=2017-12-31``) arrived on that day, and
a night reads only its own. Other rows arrived on the day of their ``arrived`` column, else on the day of their ``ts``.
Of items, campaigns, users, rules and preferences in such folders, the latest up to the night counts.
"""

import re
from datetime import date

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import schemas
from jobs.sources import files, times
from jobs.sources.mapping import FILE, Section, parse
from jobs.sources.renamed import renamed
from jobs.sources.typed import typed, union
from schemas import Table

DATED = re.compile(r"/(?:[^/=]+=)?(\d{4}-\d{2}-\d{2})/[^/]+$")


def events(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """The rows of the ``[events]`` sections; names that the mapping ignores are left out."""
    return _log(spark, data, after, day, "events")


def items(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """The ``[items]`` sections as of the night."""
    return _snapshot(spark, data, day, "items")


def reviews(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """The rows of the ``[reviews]`` sections; none without one."""
    return _log(spark, data, after, day, "reviews")


def campaigns(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """The ``[campaigns]`` sections as of the night; none without one."""
    return _snapshot(spark, data, day, "campaigns")


def users(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """The ``[users]`` sections as of the night; none without one."""
    return _snapshot(spark, data, day, "users")


def rules(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """The ``[rules]`` sections as of the night; none without one, or before the first was handed over."""
    return _snapshot(spark, data, day, "rules", may_begin_later=True)


def preferences(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """The ``[preferences]`` sections as of the night; none without one, or before the first was handed over."""
    return _snapshot(spark, data, day, "preferences", may_begin_later=True)


def _log(spark: SparkSession, data: str, after: date | None, day: date, name: str) -> DataFrame:
    """The rows of a table whose rows arrive day by day."""
    contract = schemas.table(f"raw.{name}")
    dated, undated, folders = [], [], []
    for section in _mapping(spark, data, name):
        by_day = _by_day(files.found(spark, data, section.files, str(section)))
        undated += _shaped(spark, by_day.pop(None, []), section, contract)
        folders += by_day
        tonight = [folder for folder in by_day if (after is None or after < folder) and folder <= day]
        dated += _shaped(spark, [path for folder in tonight for path in by_day[folder]], section, contract, dated=True)
    if name == "events":
        _check_day(undated, folders, day, data)
    rows = [times.arrived(frame, after, day) for frame in undated] + dated
    return union(rows) if rows else spark.createDataFrame([], contract.ddl)


def _snapshot(spark: SparkSession, data: str, day: date, name: str, *, may_begin_later: bool = False) -> DataFrame:
    """The rows of a table that is handed over whole: from the latest folder up to ``day``, or from undated files."""
    contract = schemas.table(f"raw.{name}")
    rows = []
    for section in _mapping(spark, data, name):
        by_day = _by_day(files.found(spark, data, section.files, str(section)))
        paths = by_day.pop(None, [])
        by_day = {folder: each for folder, each in by_day.items() if folder <= day or not may_begin_later}
        if by_day and min(by_day) > day:
            raise ValueError(f"{section}: nothing for {day}; the first folder is {min(by_day)}: choose a later day")
        if by_day:
            paths += by_day[max(folder for folder in by_day if folder <= day)]
        rows += _shaped(spark, paths, section, contract)
    made = union(rows) if rows else spark.createDataFrame([], contract.ddl)
    return made.withColumn("day", F.lit(day))


def _mapping(spark: SparkSession, data: str, name: str) -> list[Section]:
    if not data:
        raise ValueError(f"the source `folder` needs the path of your folder, the one with {FILE}: DATA=... or --data")
    try:
        text = spark.read.text(f"{data.rstrip('/')}/{FILE}", wholetext=True).first()
    except PySparkException as error:
        raise ValueError(f"{data} has no {FILE}: docs/bring-your-own-data.md shows one to copy") from error
    return parse(text["value"] if text else "").get(name, [])


def _by_day(paths: list[str]) -> dict[date | None, list[str]]:
    """Paths by the day in the name of their folder; None for those without."""
    grouped: dict[date | None, list[str]] = {}
    for path in paths:
        match = DATED.search(path)
        grouped.setdefault(date.fromisoformat(match[1]) if match else None, []).append(path)
    return grouped


def _check_day(undated: list[DataFrame], folders: list[date], day: date, data: str) -> None:
    if folders and min(folders) <= day <= max(folders):
        return
    if undated:
        times.check_inside(union(undated), day, data)
    else:
        times.check_between(min(folders), day, max(folders), data)


def _shaped(
    spark: SparkSession, paths: list[str], section: Section, contract: Table, dated: bool = False
) -> list[DataFrame]:
    """The rows of ``paths`` in the contract's columns, one frame a layout, with rules for what can't be understood."""
    if not paths:
        return []
    frames = files.frames(
        spark,
        paths,
        section.theirs,
        str(section),
        optional=section.optional,
        separator=section.separator,
        multiline=section.table != "events",  # events hold no long text, and their files are the large ones
    )
    folder = F.to_date(F.regexp_extract("_file", DATED.pattern, 1)) if dated else None
    return [typed(renamed(frame, section, folder), contract) for frame in frames]
