"""``mapping.toml``: how a shop's files, columns and event names become ours; see docs/bring-your-own-data.md."""

import tomllib
from dataclasses import dataclass, field
from typing import Any

import schemas
from schemas.raw import EVENT_TYPES

FILE = "mapping.toml"
TABLES = ("events", "items", "reviews", "campaigns", "users", "rules", "preferences")
NEEDED = ("events", "items")
IGNORE = "ignore"  # in the place of an event type: this kind of event is none of ours
OURS = ("day", "event_id", "review_id")  # required by the contract, filled in where a shop has none
SETTINGS = {
    "files": str,
    "columns": dict,
    "event_type": str,
    "event_types": dict,
    "attributes": list,
    "optional": list,
    "separator": str,
    "time_zone": str,
    "time_format": str,
}


@dataclass(frozen=True)
class Section:
    """One ``[table]`` of the mapping: files of one layout.

    Args:
        table: events, items, reviews, campaigns, users, rules or preferences.
        files: a glob under the data folder.
        columns: our column to the shop's; a list of several for category_path, widest first.
        event_type: the type of every row, where no column tells it.
        event_types: the shop's event name to ours, or to ``ignore``.
        attributes: the shop's columns that become attributes of a user.
        optional: the shop's columns that a file may lack.
        separator: between the columns of CSV files.
        time_zone: of times without an offset.
        time_format: in Spark's datetime letters; None for ISO 8601 and epochs.
    """

    table: str
    files: str
    columns: dict[str, str | list[str]]
    event_type: str | None = None
    event_types: dict[str, str] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    separator: str = ","
    time_zone: str = "UTC"
    time_format: str | None = None

    @property
    def theirs(self) -> list[str]:
        """The shop's columns that are read, each once."""
        names = [name for theirs in self.columns.values() for name in ([theirs] if isinstance(theirs, str) else theirs)]
        return list(dict.fromkeys([*names, *self.attributes]))

    def __str__(self) -> str:
        return f"[{self.table}] of {FILE}"


def parse(text: str) -> dict[str, list[Section]]:
    """The sections of a mapping file, by table; ``[[events]]`` may come several times.

    Raises:
        ValueError: naming the line to change, if it isn't TOML, a section or setting is unknown or missing, or a
            column or event type isn't one of ours.
    """
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{FILE} is not TOML: {error}") from error
    unknown = [name for name in given if name not in TABLES]
    if unknown:
        raise ValueError(f"{FILE}: no section is called [{unknown[0]}]; there are: {', '.join(TABLES)}")
    for table in NEEDED:
        if table not in given:
            raise ValueError(f"{FILE} has no [{table}] section: every shop has {table}")
    parts = {table: part if isinstance(part, list) else [part] for table, part in given.items()}
    return {table: [_section(table, settings) for settings in several] for table, several in parts.items()}


def _section(table: str, given: Any) -> Section:
    if not isinstance(given, dict):
        raise ValueError(f"{FILE}: {table} is a section: write [{table}] on a line of its own")
    for name, value in given.items():
        if name not in SETTINGS:
            raise ValueError(f"[{table}] of {FILE}: no setting {name!r}; there are: {', '.join(SETTINGS)}")
        if not isinstance(value, SETTINGS[name]):
            raise ValueError(f"[{table}] of {FILE}: {name} = {value!r} is not a {SETTINGS[name].__name__}")
    for name in ("files", "columns"):
        if name not in given:
            raise ValueError(f"[{table}] of {FILE} lacks {name}")
    lists = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    section = Section(table, **lists)
    _check_columns(section)
    _check_event_types(section)
    return section


def _check_columns(section: Section) -> None:
    contract = schemas.table(f"raw.{section.table}")
    ours = [name for name in contract.column_names if name not in ("day", "attributes")]
    if section.table in ("events", "reviews"):
        ours.append("arrived")
    for name, theirs in section.columns.items():
        if name not in ours:
            raise ValueError(f"{section}: {name!r} is none of our columns; they are: {', '.join(ours)}")
        if not isinstance(theirs, str) and name != "category_path":
            raise ValueError(f"{section}: {name} = {theirs!r} is not the name of one column")
    needed = [column.name for column in contract.columns if column.required and column.name not in OURS]
    if section.event_type is not None:
        needed.remove("event_type")
    for name in needed:
        if name not in section.columns:
            raise ValueError(f'{section} lacks a column: add the line {name} = "your column" under columns')


def _check_event_types(section: Section) -> None:
    lines = dict(section.event_types)
    if section.event_type is not None:
        lines["event_type"] = section.event_type
    for theirs, ours in lines.items():
        if ours not in (*EVENT_TYPES, IGNORE):
            raise ValueError(
                f"{section}: {theirs} = {ours!r} is no event type; there are: {', '.join(EVENT_TYPES)}, {IGNORE}"
            )
