"""A shop's rows under our names, as its mapping says, with a reason for each value that can't be understood."""

from itertools import chain

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

import schemas
from jobs.sources import times
from jobs.sources.files import named
from jobs.sources.mapping import IGNORE, Section
from jobs.sources.typed import quoted
from schemas.raw import EVENT_TYPES

BETWEEN = r"\s*>\s*"  # the categories in one text: "Home > Kitchen > Knives"
NUMBERS = ("tinyint", "smallint", "int", "bigint")


def renamed(frame: DataFrame, section: Section, folder: Column | None) -> DataFrame:
    """``frame`` under our names, with ``_row``, ``_rule`` and ``_reason``; without the events that the mapping ignores.

    Args:
        frame: the shop's columns, ``_row``, ``_rule`` and ``_reason``.
        section: of the mapping.
        folder: the day in the name of the row's folder; None for files that don't lie in such a folder.

    Raises:
        ValueError: if the section has a time zone, and a column of times holds numbers, which have none.
    """
    kinds = {field.name: field.dataType.simpleString() for field in frame.schema}
    ours = {name: named(theirs) for name, theirs in section.columns.items() if isinstance(theirs, str)}
    faults = {}
    for name, type_ in _times(section).items():
        # a column of its own first: rule, reason and day look at the value, and reading it is what costs
        frame = frame.withColumn(f"_{name}", _time(name, type_, section, kinds[section.columns[name]]))
        ours[name], faults[f"readable_{name}"] = F.col(f"_{name}"), _no_time(name, section)
    if section.table == "events":
        name = F.lit(section.event_type) if section.event_type else ours["event_type"].cast("string")
        ignored = [theirs for theirs, to in section.event_types.items() if to == IGNORE]
        frame = frame.where(F.col("_rule").isNotNull() | name.isNull() | ~name.isin(ignored))
        ours["event_type"], faults["known_event_type"] = _event_type(name, section)
    if section.table in ("events", "reviews"):
        arrived = ours.pop("arrived", F.lit(None))
        ours["day"] = folder if folder is not None else F.to_date(F.coalesce(arrived, ours["ts"]))
    if "category_path" in section.columns:
        ours["category_path"] = _category_path(section.columns["category_path"], kinds)
    if section.attributes:
        pairs = chain.from_iterable((F.lit(name), named(name).cast("string")) for name in section.attributes)
        ours["attributes"] = F.map_filter(F.create_map(*pairs), lambda _, value: value != "")
    return frame.select(
        *(value.alias(name) for name, value in ours.items()),
        "_row",
        F.coalesce("_rule", *(F.when(fault.isNotNull(), rule) for rule, fault in faults.items())).alias("_rule"),
        F.coalesce("_reason", *faults.values()).alias("_reason"),
    )


def _times(section: Section) -> dict[str, str]:
    """The mapped columns that hold times, with their types."""
    types = {column.name: column.type for column in schemas.table(f"raw.{section.table}").columns}
    types["arrived"] = "timestamp"
    return {name: types[name] for name in section.columns if types[name] in ("timestamp", "date")}


def _time(name: str, type_: str, section: Section, kind: str) -> Column:
    theirs = section.columns[name]
    if kind in NUMBERS and section.time_zone != "UTC":
        raise ValueError(
            f"{section}: {theirs} holds numbers, which count from 1970 in UTC, as do the nanoseconds that pandas "
            f"writes to Parquet: take the line time_zone out, or write {theirs} with its zone"
        )
    value = times.instant(named(theirs), kind, section.time_zone, section.time_format)
    return F.to_date(value) if type_ == "date" else value


def _no_time(name: str, section: Section) -> Column:
    """The reason why the column ``_<name>`` has no value; null where it has one, or may be empty."""
    theirs, form = section.columns[name], section.time_format
    expected = f"no time in the form {form}" if form else "no ISO 8601 time; see time_format"
    text = named(theirs).cast("string")
    reason = F.concat(F.lit(f"{name}: "), quoted(text), F.lit(f" of column {theirs} is {expected}"))
    required = {column.name for column in schemas.table(f"raw.{section.table}").columns if column.required}
    needed = F.lit(name in required) | (F.trim(text) != "")
    return F.when(F.col(f"_{name}").isNull() & needed, reason)


def _event_type(name: Column, section: Section) -> tuple[Column, Column]:
    """Our event type, and the reason why a name has none."""
    types = {ours: ours for ours in EVENT_TYPES} | section.event_types
    value = F.try_element_at(F.create_map(*(F.lit(text) for pair in types.items() for text in pair)), name)
    advice = F.lit(' is none of ours: add a line "its name" = "our type" under event_types, or = "ignore"')
    return value, F.when(value.isNull(), F.concat(F.lit("event_type: "), quoted(name), advice))


def _category_path(theirs: str | list[str], kinds: dict[str, str]) -> Column:
    """Widest first, from several columns, a list, or one text; null if nothing is left."""
    if isinstance(theirs, list):
        parts = F.array(*(named(name).cast("string") for name in theirs))
    elif kinds[theirs].startswith("array"):
        parts = named(theirs).cast("array<string>")
    else:
        text = F.trim(named(theirs).cast("string"))
        parts = F.coalesce(F.when(text.startswith("["), F.from_json(text, "array<string>")), F.split(text, BETWEEN))
    path = F.filter(F.transform(parts, F.trim), lambda part: part != "")
    return F.when(F.size(path) > 0, path)
