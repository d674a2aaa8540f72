"""Reading the lake's Delta tables, by name and night."""

from datetime import date

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from schemas import table


def table_uri(lake: str, name: str) -> str:
    """Where the lake keeps ``room.table``."""
    return f"{lake.rstrip('/')}/{name.replace('.', '/')}"


def open_table(lake: str, name: str) -> DeltaTable:
    """The Delta table ``name`` of the lake at ``lake``.

    Raises:
        ValueError: if it isn't there.
    """
    uri = table_uri(lake, name)
    try:
        return DeltaTable(uri)
    except TableNotFoundError as error:
        job = f"python -m jobs {name} --day D --lake {lake}"
        raise ValueError(f"table {name} is not in the lake: nothing at {uri}; make it with `{job}`") from error


def read_night(delta: DeltaTable, name: str, day: date, columns: list[str]) -> pa.Table:
    """The rows that the night ``day`` wrote.

    Raises:
        ValueError: if it wrote none, or a column is missing.
    """
    missing = set(columns) - {field.name for field in delta.schema().fields}
    if missing:
        raise ValueError(f"table {name} has no column {', '.join(sorted(missing))}; its contract is in schemas/")
    rows = delta.to_pyarrow_table(partitions=[(table(name).night, "=", day.isoformat())], columns=columns)
    if not len(rows):
        raise ValueError(f"table {name} has no rows of night {day}; run that night's job before training")
    return rows
