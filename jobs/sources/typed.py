"""Values cast to the contract's types, with a reason for each one that doesn't fit."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas import Table

SHOWN = 200  # characters of a bad value that its reason quotes
NUL = "\0"
WORDS = {"double": "number", "int": "whole number", "boolean": "boolean", "date": "day", "timestamp": "time"}


def typed(rows: DataFrame, table: Table) -> DataFrame:
    """``rows`` in the contract's columns and types, then ``_rule``, ``_reason`` and ``_source``, null for good rows.

    Columns of the contract that ``rows`` lacks are null, and so are empty strings. A value that doesn't cast is null
    and gives its row the rule ``readable_<column>``, unless the row came with a rule of its own.

    Args:
        rows: columns named as in the contract; optionally ``_rule``, ``_reason`` and ``_source`` (strings), and
            ``_row``, the row as its source wrote it (a struct, or JSON text), which rejected rows take as ``_source``.
        table: the contract.

    Raises:
        ValueError: if an array or map column has another type.
    """
    given = {field.name: field.dataType.simpleString() for field in rows.schema}
    values, faults = {}, {}
    for column in table.columns:
        if column.name not in given:
            values[column.name] = F.lit(None).cast(column.type)
            continue
        values[column.name], fault = _cast(column.name, given[column.name], column.type, table.name)
        if fault is not None:
            faults[column.name] = fault
    return _with_source(_with_rule(rows, given, faults), given).select(
        *(value.alias(name) for name, value in values.items()), "_rule", "_reason", "_source"
    )


def union(frames: list[DataFrame]) -> DataFrame:
    """The rows of all ``frames``, at least one, by column name; a column that one of them lacks is null there."""
    first, *others = frames
    for other in others:
        first = first.unionByName(other, allowMissingColumns=True)
    return first


def quoted(value: Column) -> Column:
    """``value`` between quotes, cut to a length that a reason can carry."""
    return F.concat(F.lit("'"), F.substring(F.coalesce(value, F.lit("")), 1, SHOWN), F.lit("'"))


def _cast(name: str, have: str, want: str, table: str) -> tuple[Column, Column | None]:
    """The value in its type, and the reason why it doesn't fit (null where it does); None if it always fits."""
    value = F.col(name)
    if have == "string" and want == "string":
        fault = F.when(value.contains(NUL), F.lit(f"{name}: a null byte in an id")) if name.endswith("_id") else None
        return F.when(value != "", value), fault
    if have == want:
        return value, None
    if have == "void" or want == "string":
        return value.cast(want), None
    if "<" in want:
        raise ValueError(f"{table}, column {name}: the source gives {have}, the contract asks for {want}")
    text = value.cast("string")
    cast = _whole(text) if want == "int" else text.try_cast(want)
    unfit = (F.trim(text) != "") & cast.isNull()
    return cast, F.when(unfit, F.concat(F.lit(f"{name}: "), quoted(text), F.lit(f" is no {WORDS[want]}")))


def _whole(text: Column) -> Column:
    """Text as int: ``3`` and ``3.0``, which is how a column with gaps leaves pandas, but not ``3.5``."""
    number = text.try_cast("double")
    return F.when(number == F.rint(number), number.try_cast("int"))


def _with_rule(rows: DataFrame, given: dict[str, str], faults: dict[str, Column]) -> DataFrame:
    own = {name: F.col(name) if name in given else F.lit(None).cast("string") for name in ("_rule", "_reason")}
    rule = F.coalesce(own["_rule"], *(F.when(fault.isNotNull(), f"readable_{name}") for name, fault in faults.items()))
    reason = F.coalesce(own["_reason"], *faults.values())
    return rows.withColumns({"_rule": rule, "_reason": reason})


def _with_source(rows: DataFrame, given: dict[str, str]) -> DataFrame:
    """``_source`` of the rows with a rule; the others don't pay for it."""
    row = F.col("_row") if "_row" in given else F.struct(*(F.col(name) for name in given if not name.startswith("_")))
    text = row if given.get("_row") == "string" else F.to_json(row)
    whole = F.coalesce(F.col("_source"), text) if "_source" in given else text
    return rows.withColumn("_source", F.when(F.col("_rule").isNotNull(), whole))
