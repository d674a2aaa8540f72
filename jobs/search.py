"""Looks for people in the files of a lake: in rows, in every text of a Parquet file, and in the logs of Delta."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow.fs import FileSystem

from schemas import Table
from schemas.contract import PSEUDONYM, QUOTED, SOURCE_ID

# characters from which on an id is looked for in every text: a shorter one, such as 7, means other things there
DISTINCT = 8
STATISTIC = 32  # characters that Delta's statistics keep of a text
ROWS_AT_ONCE = 65_536
BYTES_AT_ONCE, OVERLAP = 1 << 24, 1 << 10  # no id is longer than the contract's 256 characters
LOG = "_delta_log"


@dataclass(frozen=True)
class People:
    """Whom to look for: the shop's own ids, and the pseudonyms of the same people."""

    ids: tuple[str, ...]
    pseudonyms: tuple[str, ...]

    def about(self, rows: pa.Table | pa.RecordBatch, table: Table) -> pa.Array:
        """bool [rows]: which are theirs, by the columns that name a person in the contract; those may be lacking."""
        found = []
        for column in (column for column in table.columns if column.name in rows.schema.names):
            values = rows[column.name]
            if column.person in (SOURCE_ID, PSEUDONYM):
                wanted = self.ids if column.person == SOURCE_ID else self.pseudonyms
                found.append(pc.is_in(values, pa.array(wanted, pa.string())))
            elif column.person == QUOTED:
                quoted = pc.match_substring_regex(values, self._hidden)
                found.append(pc.or_(pc.and_(quoted, _nobody(rows, table)), self._pseudonymous(values)))
        whole = pa.nulls(rows.num_rows, pa.bool_())
        return reduce(pc.or_, [pc.fill_null(each, False) for each in found], pc.fill_null(whole, False))

    def in_texts(self, values: pa.Array) -> bool:
        """Whether one of the texts names somebody by the pseudonym, or by an id that means nothing else."""
        found = self._pseudonymous(values)
        if self._distinct is not None:
            found = pc.or_(found, pc.match_substring_regex(values, self._distinct))
        return bool(pc.any(found).as_py())

    def in_log(self, node: Any, table: Table | None) -> bool:
        """Whether an action of Delta's log, as plain values, has somebody in its statistics or its condition."""
        if isinstance(node, dict):
            return any(self._in_entry(name, value, table) for name, value in node.items())
        return isinstance(node, list) and any(self.in_log(each, table) for each in node)

    def _in_entry(self, name: str, value: Any, table: Table | None) -> bool:
        if name == "stats" and isinstance(value, str):
            return self.in_log(json.loads(value), table)
        if name in ("minValues", "maxValues", "min_values", "max_values") and isinstance(value, dict) and table:
            return any(self._is_statistic(column, each, table) for column, each in value.items())
        if name == "predicate" and isinstance(value, str):
            return bool(re.search(rf"""['"](?:{self._any_id})['"]""", value))
        return self.in_log(value, table)

    def _is_statistic(self, name: str, value: Any, table: Table) -> bool:
        person = next((column.person for column in table.columns if column.name == name), None)
        if not isinstance(value, str) or person is None:
            return False
        if person == QUOTED:
            return re.search(rf"(?<!\w)(?:{self._any_id})(?!\w)", value) is not None
        return any(value == each[: len(value)] and (value == each or len(value) >= STATISTIC) for each in self.ids)

    def _pseudonymous(self, values: pa.Array) -> pa.Array:
        return pc.match_substring_regex(values, "|".join(self.pseudonyms))

    @cached_property
    def _any_id(self) -> str:
        return "|".join(map(re.escape, self.ids))

    @cached_property
    def _hidden(self) -> str:
        # within JSON, quotes and backslashes of an id are written otherwise
        return _words([*self.ids, *(json.dumps(each, ensure_ascii=False)[1:-1] for each in self.ids)])

    @cached_property
    def _distinct(self) -> str | None:
        chosen = [each for each in self.ids if len(each) >= DISTINCT]
        return _words(chosen) if chosen else None


def _words(texts: list[str]) -> str:
    """A pattern of RE2, which can't look around: the texts, not within a longer word."""
    return rf"(?:^|[^\pL\pN_])(?:{'|'.join(map(re.escape, dict.fromkeys(texts)))})(?:[^\pL\pN_]|$)"


def _nobody(rows: pa.Table | pa.RecordBatch, table: Table) -> pa.Array:
    """Where no column says whom a row is about."""
    if table.person is None or table.person.name not in rows.schema.names:
        return pa.array([True] * rows.num_rows)
    return pc.is_null(rows[table.person.name])


def in_data(files: FileSystem, path: str, people: People, table: Table | None) -> bool:
    """Whether a Parquet file holds somebody: in a row, or in any text of any column; not if it is gone by now.

    Raises:
        ValueError: if it can't be read: a night that is writing it isn't done.
    """
    try:
        for batch in batches(files, path):
            if table is not None and pc.any(people.about(batch, table)).as_py():
                return True
            if any(people.in_texts(values) for column in batch.columns for values in texts(column)):
                return True
    except FileNotFoundError:
        return False
    except OSError as error:  # a page that ends too early
        raise ValueError(f"{path}: {error}") from error
    return False


def in_log(files: FileSystem, path: str, people: People, table: Table | None) -> bool:
    """Whether a file of a Delta log, a checkpoint too, has somebody."""
    if path.endswith(".parquet"):
        rows = [row for batch in batches(files, path) for row in batch.to_pylist()]
        text = json.dumps(rows, default=str)
    else:
        with files.open_input_stream(path) as file:
            text = file.read().decode("utf-8", "replace")
        rows = [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]
    return people.in_texts(pa.array([text])) or people.in_log(rows, table)


def in_bytes(files: FileSystem, path: str, people: People) -> bool:
    """Whether any other file has somebody in its bytes."""
    with files.open_input_stream(path) as file:
        before = b""
        while part := file.read(BYTES_AT_ONCE):
            if people.in_texts(pa.array([before + part], pa.binary())):
                return True
            before = part[-OVERLAP:]
    return False


def batches(files: FileSystem, path: str, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """A Parquet file in parts, of :func:`plain` types; of ``columns`` those that it has."""
    with files.open_input_file(path) as file:
        parquet = pq.ParquetFile(file)
        names = None if columns is None else [name for name in columns if name in parquet.schema_arrow.names]
        for batch in parquet.iter_batches(ROWS_AT_ONCE, columns=names):
            yield batch.cast(plain(batch.schema))


def plain(schema: pa.Schema) -> pa.Schema:
    """The schema without views: delta-rs rewrites texts as such, and no kernel of Arrow looks into them."""
    return pa.schema([_plain(field) for field in schema], schema.metadata)


def _plain(field: pa.Field) -> pa.Field:
    kind = field.type
    if pa.types.is_string_view(kind):
        kind = pa.string()
    elif pa.types.is_binary_view(kind):
        kind = pa.binary()
    elif pa.types.is_struct(kind):
        kind = pa.struct([_plain(each) for each in kind])
    elif pa.types.is_map(kind):
        kind = pa.map_(_plain(kind.key_field), _plain(kind.item_field))
    elif pa.types.is_list(kind):
        kind = pa.list_(_plain(kind.value_field))
    elif pa.types.is_large_list(kind):
        kind = pa.large_list(_plain(kind.value_field))
    return field.with_type(kind)


def texts(values: pa.Array) -> Iterator[pa.Array]:
    """All texts within an array, however deep."""
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield values
    elif pa.types.is_map(kind):
        yield from texts(values.keys)
        yield from texts(values.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_struct(kind):
        for part in values.flatten() if pa.types.is_struct(kind) else [values.flatten()]:
            yield from texts(part)
