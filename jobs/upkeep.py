"""Keeps a lake small: drops nights past their retention, joins small files, deletes files that nobody reads any more.

python -m jobs upkeep --day D --lake LAKE, never beside a night of the same lake: dags/upkeep.py sees to it.
"""

import json
import time
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import RemoveAction

import schemas
from jobs.lake import NO_VALUES, path
from jobs.staging import commit, partition_texts
from schemas import Table
from schemas.raw import UNDATED

# hours that a file stays after it left its table: the longest that anybody may go on reading a version, training too
STAYS = 7 * 24


@dataclass(frozen=True)
class Kept:
    """What upkeep did to a table: nights and rows past their retention, small files joined, old files deleted."""

    table: str
    nights: int
    rows: int
    joined: int
    deleted: int
    seconds: float


def upkeep(day: date, lake: str) -> list[Kept]:
    """Keeps every table of the lake; ``day`` is the last night that was made.

    Raises:
        ValueError: if the lake has no table.
        OSError: if another run commits to a table at the same moment; tables before it are done.
    """
    tables = [table for table in schemas.TABLES.values() if DeltaTable.is_deltatable(path(lake, table))]
    if not tables:
        raise ValueError(f"no Delta table in {lake}: is it the lake's folder?")
    return [_kept(table, lake, day) for table in tables]


def lines(kept: list[Kept]) -> list[str]:
    """For a terminal."""
    return [
        f"{each.table:<24} {each.nights:>4} nights, {each.rows:>10,} rows past retention, {each.joined:>4} small files "
        f"joined, {each.deleted:>5} old files deleted, {each.seconds:6.2f} s"
        for each in kept
    ]


def _kept(table: Table, lake: str, day: date) -> Kept:
    started = time.monotonic()
    delta = DeltaTable(path(lake, table))
    about = {"day": day.isoformat(), "job": "upkeep"}
    try:
        nights, rows = _expire(delta, table, day, about) if table.keep_days is not None else (0, 0)
        joined = _compact(delta, about)
    except CommitFailedError as error:
        raise OSError(
            f"{table.name}: another run wrote the table at the same moment; run upkeep again when it has ended: {error}"
        ) from error
    deleted = len(delta.vacuum(retention_hours=STAYS, dry_run=False, full=True))
    return Kept(table.name, nights, rows, joined, deleted, time.monotonic() - started)


def _expire(delta: DeltaTable, table: Table, day: date, about: dict) -> tuple[int, int]:
    """Drops the nights before the last ``keep_days`` up to ``day``: how many, and their rows."""
    last = day - timedelta(days=table.keep_days)
    if table.night not in table.partition:
        condition = f"\"{table.night}\" <= DATE '{last}' AND \"{table.night}\" <> DATE '{UNDATED}'"
        return 0, delta.delete(condition, commit_properties=_signed(about))["num_deleted_rows"] or 0
    files = pa.table(delta.get_add_actions()).to_pylist()
    old = [file for file in files if UNDATED < file["partition"][table.night] <= last]
    if not old:
        return 0, 0
    now = int(time.time() * 1000)
    commit(
        delta,
        [RemoveAction(file["path"], True, now, file["size_bytes"], partition_texts(file["partition"])) for file in old],
        about,
    )
    delta.update_incremental()
    return len({file["partition"][table.night] for file in old}), sum(file["num_records"] for file in old)


def _compact(delta: DeltaTable, about: dict) -> int:
    """Joins the small files of each folder: how many."""
    if delta.metadata().configuration.get("delta.dataSkippingNumIndexedCols") != NO_VALUES:  # a lake of before
        delta.alter.set_table_properties({"delta.dataSkippingNumIndexedCols": NO_VALUES})
    return delta.optimize.compact(commit_properties=_signed(about))["numFilesRemoved"]


def _signed(about: dict) -> CommitProperties:
    return CommitProperties(custom_metadata={"userMetadata": json.dumps(about)})
