"""The contract: every table of the lake by name. Imports nothing but the standard library."""

from schemas import behaviour, catalogue, insight, lists, profiles, raw
from schemas.contract import Column, Table

TABLES: dict[str, Table] = {
    table.name: table for room in (raw, behaviour, catalogue, profiles, lists, insight) for table in room.TABLES
}


def table(name: str) -> Table:
    """The table of that name.

    Raises:
        ValueError: if there is none; the message lists those there are.
    """
    if name not in TABLES:
        raise ValueError(f"no table is called {name!r}; there are: {', '.join(sorted(TABLES))}")
    return TABLES[name]


__all__ = ["TABLES", "Column", "Table", "table"]
