"""Erases people from a lake, keeps them out, and proves it: python -m jobs erase --user U --lake LAKE.

Tombstones come first, and every table gets a commit that shuts out a night that began before: see ``jobs.erased``.
Delta's own DELETE would write its condition, and with it the id, into the log.
"""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import unquote
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction, RemoveAction
from pyarrow.fs import FileSelector, FileType, PyFileSystem

import schemas
from jobs.behaviour.pseudonym import pseudonym_key, pseudonym_of
from jobs.erased import ERASED, Erased, mark_of, tombstones
from jobs.lake import path
from jobs.search import LOG, People, batches, in_bytes, in_data, in_log, plain
from jobs.staging import commit
from schemas import Table
from schemas.raw import UNDATED

log = logging.getLogger(__name__)

TRIES = 5  # of a commit that others came before
UNKNOWN = 3  # exit code: the tombstone stands, but the lake had no row of somebody


@dataclass(frozen=True)
class Removed:
    """What was removed of a table: rows that stood in it, and old files of its history."""

    table: str
    rows: int
    files: int
    seconds: float


@dataclass(frozen=True)
class Erasure:
    """What an erasure did.

    Args:
        removed: one a table that may name a person.
        unknown: those of the ids that no row had and no earlier erasure knew.
        searched: files that were read in the end.
        left: files that name somebody all the same.
    """

    removed: list[Removed]
    unknown: list[str]
    searched: int
    left: list[str]


def erase(users: Sequence[str], lake: str) -> Erasure:
    """Removes the people ``users``, the shop's own ids, from every table, its history and its log.

    Run again after an interruption, it goes on where it was.

    Raises:
        ValueError: if an id is empty, or the lake has no table.
        OSError: if a night keeps committing to a table.
    """
    if not all(users):
        raise ValueError("erase needs --user: the shop's own id of a person, not a pseudonym")
    if not _tables(lake):
        raise ValueError(f"no Delta table in {lake}: nobody to erase; is it the lake's folder?")
    key = pseudonym_key()
    people = People(tuple(users), tuple(pseudonym_of(user, key) for user in users))
    seen = _bury(people, lake)
    files, removed = PyFileSystem(DeltaStorageHandler(lake)), []
    for table in _tables(lake):  # now: a night may have made its first in the meantime
        if any(column.person for column in table.columns):
            started = time.monotonic()
            rows, mine = _remove(files, people, table, lake)
            old = _purge(files, people, table, lake)
            removed.append(Removed(table.name, rows, old, time.monotonic() - started))
            seen |= mine
    searched, left = _search(files, people)
    unknown = [user for user, alias in zip(people.ids, people.pseudonyms, strict=True) if not seen & {user, alias}]
    return Erasure(removed, unknown, searched, left)


def lines(done: Erasure) -> list[str]:
    """For a terminal."""
    told = [
        f"{each.table:<24} {each.rows:>9,} rows removed, {each.files:>4} old files deleted, {each.seconds:6.2f} s"
        for each in done.removed
    ]
    told += [f"the lake had no row of {user!r}: is it the shop's own id? None will come in" for user in done.unknown]
    told += [f"LEFT in {name}; look into it, then erase again" for name in done.left]
    return [*told, f"{done.searched:,} files searched, {len(done.left) or 'none'} of them with a trace left"]


def _tables(lake: str) -> list[Table]:
    return [table for table in schemas.TABLES.values() if DeltaTable.is_deltatable(path(lake, table))]


def _bury(people: People, lake: str) -> set[str]:
    """Writes the tombstones that are missing; the pseudonyms of those that were there."""
    marks = {mark_of(alias): alias for alias in people.pseudonyms}
    there = Erased.read(lake).marks & marks.keys()
    new = sorted(marks.keys() - there)
    if new:
        rows = tombstones(new, _last_night(lake))
        write_deltalake(path(lake, ERASED), rows, mode="append", partition_by=list(ERASED.partition))
    return {marks[mark] for mark in there}


def _last_night(lake: str) -> date:
    nights = [UNDATED]
    for table in _tables(lake):
        if table.night in table.partition:
            files = pa.table(DeltaTable(path(lake, table)).get_add_actions()).to_pylist()
            nights += [file["partition"][table.night] for file in files]
    return max(nights)


def _remove(files: PyFileSystem, people: People, table: Table, lake: str) -> tuple[int, set[str]]:
    """Takes their rows out of the table: how many, and the ids and pseudonyms that they had."""
    for _ in range(TRIES):
        delta = DeltaTable(path(lake, table))
        actions, rows, seen = [], 0, set()
        for file in pa.table(delta.get_add_actions()).to_pylist():
            theirs, mine = _theirs(files, _inside(table, file["path"]), people, table)
            if theirs:
                actions += _rewritten(files, file, people, table)
                rows, seen = rows + theirs, seen | mine
        try:
            # also without a row: a night that looked at the tombstones before, and commits later, meets this commit
            commit(delta, actions, {"job": "erase", "rows": rows})
        except CommitFailedError as error:
            log.info("%s: another run committed first, trying again: %s", table.name, error)
            continue
        return rows, seen
    raise OSError(f"{table.name}: other runs keep committing; erase again when the night is over")


def _theirs(files: PyFileSystem, where: str, people: People, table: Table) -> tuple[int, set[str]]:
    rows, seen = 0, set()
    for batch in batches(files, where, [column.name for column in table.columns if column.person]):
        mask = people.about(batch, table)
        rows += pc.sum(mask).as_py() or 0
        if table.person is not None and table.person.name in batch.schema.names:
            seen |= set(batch[table.person.name].filter(mask).to_pylist())
    return rows, seen


def _rewritten(files: PyFileSystem, file: dict, people: People, table: Table) -> list[AddAction | RemoveAction]:
    """Drops a file, and adds one with its other rows."""
    values = {name: None if value is None else str(value) for name, value in file["partition"].items()}
    now = int(time.time() * 1000)
    actions = [RemoveAction(file["path"], True, now, file["size_bytes"], values)]
    head, _, rest = unquote(file["path"]).partition("/")
    # a folder of ours in the place of a night's
    fresh = f"erase-{uuid4().hex}/{f'{head}/{rest}' if '=' in head or not rest else rest}"
    where, kept = _inside(table, fresh), 0
    files.create_dir(where.rpartition("/")[0])
    old = _inside(table, file["path"])
    with files.open_input_file(old) as whole:
        schema = plain(pq.read_schema(whole))
    with files.open_output_stream(where) as new, pq.ParquetWriter(new, schema, compression="snappy") as writer:
        for batch in batches(files, old):
            others = batch.filter(pc.invert(people.about(batch, table)))
            writer.write_batch(others)
            kept += others.num_rows
    if not kept:
        files.delete_file(where)
        return actions
    stats = json.dumps({"numRecords": kept})
    return [*actions, AddAction(fresh, files.get_file_info(where).size, values, now, True, stats)]


def _purge(files: PyFileSystem, people: People, table: Table, lake: str) -> int:
    """Deletes what no longer belongs to the table and holds them: files of its history, and of a night under way.

    Such a night will not publish them: it began before the tombstones were written.
    """
    delta = DeltaTable(path(lake, table))
    current = {_inside(table, file) for file in pa.table(delta.get_add_actions())["path"].to_pylist()}
    deleted, in_logs = 0, False
    for name in _files(files, _inside(table, "")):
        if f"/{LOG}/" in name:
            in_logs = in_logs or in_log(files, name, people, table)
        elif name.endswith(".parquet") and name not in current and _readable(files, name, people, table):
            _delete(files, name)
            deleted += 1
    if in_logs:
        _shorten(files, delta, table)
    return deleted


def _readable(files: PyFileSystem, name: str, people: People, table: Table) -> bool:
    """Whether they are in a file; what can't be read, as a night is writing it, is told of in the end."""
    try:
        return in_data(files, name, people, table)
    except ValueError:
        return False


def _shorten(files: PyFileSystem, delta: DeltaTable, table: Table) -> None:
    """Leaves of the log what the table is now: Delta goes on from a checkpoint without the entries before it."""
    delta.create_checkpoint()
    for name in _files(files, _inside(table, LOG)):
        version = name.rpartition("/")[2].lstrip(".")[:20]
        if version.isdigit() and int(version) < delta.version():
            files.delete_file(name)


def _search(files: PyFileSystem, people: People) -> tuple[int, list[str]]:
    """Every file of the lake, read anew: how many, and those that name somebody."""
    left, searched = [], 0
    tables = {table.name.replace(".", "/"): table for table in schemas.TABLES.values()}
    for name in _files(files, ""):
        table = tables.get("/".join(name.split("/")[:2]))
        if f"/{LOG}/" in name:
            found = in_log(files, name, people, table)
        elif name.endswith(".parquet"):
            try:
                found = in_data(files, name, people, table)
            except ValueError:
                found, name = True, f"{name}, or not: it can't be read, as while a night is writing it"
        else:
            found = in_bytes(files, name, people)
        searched += 1
        left += [name] if found else []
    return searched, left


def _files(files: PyFileSystem, folder: str) -> list[str]:
    infos = files.get_file_info(FileSelector(folder, recursive=True))
    return sorted(info.path for info in infos if info.type != FileType.Directory)


def _delete(files: PyFileSystem, name: str) -> None:
    folder, _, file = name.rpartition("/")
    for each in (name, f"{folder}/.{file}.crc"):  # a checksum that Hadoop leaves on a disk
        if files.get_file_info(each).type != FileType.NotFound:
            files.delete_file(each)


def _inside(table: Table, name: str) -> str:
    """Where a file of the table lies in the lake; Delta's log writes some characters of a path otherwise."""
    return f"{table.name.replace('.', '/')}/{unquote(name)}".rstrip("/")
