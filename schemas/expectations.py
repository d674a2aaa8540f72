"""The contract as rules: what splits bad rows off, and the suite that the gate runs on those that are kept.

Both are plain data, so that this room needs neither Spark nor Great Expectations.
"""

import math
import re
from dataclasses import dataclass
from statistics import median
from typing import Literal

from schemas.contract import FEWEST, Column, Table

SHOWN = 200  # characters of a value that a reason quotes
FLOATING = ("double", "float")


@dataclass(frozen=True)
class Expectation:
    """One expectation of Great Expectations as data.

    Args:
        type: its name there, or that of one in ``jobs/rules.py``.
        kwargs: its arguments.
        severity: ``table`` stops the night. A broken ``row`` expectation does too, as rows that break one were split
            off before: it would be a fault of the split.
        expected: what is asked, for a person.
        seen: what was observed, for a person: a format over ``rows`` ("1 row", "2 rows") or ``value``.
        advice: what to do when it is broken.
    """

    type: str
    kwargs: dict
    severity: Literal["row", "table"]
    expected: str
    seen: str
    advice: str


@dataclass(frozen=True)
class RowRule:
    """A rule that every row keeps by itself.

    Args:
        name: as in ``raw.rejects.rule``: the column's name, or that of the table's own rule.
        broken: Spark SQL, true for a row that breaks it; never null for a row that does.
        seen: Spark SQL, what to quote of a row that broke it.
        expectation: the same rule in the gate's suite.
    """

    name: str
    broken: str
    seen: str
    expectation: Expectation


def row_rules(table: Table) -> list[RowRule]:
    """Every row rule of the contract, in the order in which a row is held to them."""
    rules = [_required(column) for column in table.columns if column.required]
    for column in table.columns:
        rules += _bounds(column)
        if column.one_of is not None:
            rules.append(_one_of(column))
        if column.max_length is not None:
            rules.append(_max_length(column))
    return rules + [_condition(table, *rule) for rule in table.rows]


def suite(
    table: Table, rows_in: int, rows_rejected: int, history: tuple[int, ...], repeated: int = 0, k: int = FEWEST
) -> list[Expectation]:
    """What the gate expects of the rows that were kept.

    Args:
        rows_in: rows the job made.
        rows_rejected: those of them that were split off.
        history: row counts of up to seven earlier nights.
        repeated: rejected rows that an earlier night was told of; they don't count towards the limit.
        k: people that rows alike in the table's ``anonymous`` columns stand for at least.
    """
    rules = [_columns(table), _identity(rows_in, rows_rejected), _reject_share(table, rows_in - repeated)]
    least = least_rows(table, rows_in, history)
    if least:
        rules.append(_least(least))
    if table.key:
        rules.append(_unique(table))
    if table.anonymous:
        rules.append(_anonymous(table, k))
    return rules + [rule.expectation for rule in row_rules(table)]


def least_rows(table: Table, rows_in: int, history: tuple[int, ...]) -> int:
    """The fewest rows a night may have: ``least_share`` of the median of ``history``; 1 where it can't be empty.

    A night without any row passes where the table may be empty: a closed shop sends nothing, a feed that is cut short
    sends something.
    """
    if table.may_be_empty and not rows_in:
        return 0
    least = math.ceil(table.least_share * median(history)) if history else 0
    return max(least, 0 if table.may_be_empty else 1)


def unique_columns(table: Table) -> list[str]:
    """The key and the night: a frame may hold several nights, and a key is unique within one."""
    return [*table.key] if table.night in table.key else [table.night, *table.key]


def counted(rows: int) -> str:
    """``1 row``, ``2 rows``, ``1,000 rows``."""
    return f"{rows:,} row" if rows == 1 else f"{rows:,} rows"


def _columns(table: Table) -> Expectation:
    return Expectation(
        "expect_table_columns_to_match_ordered_list",
        {"column_list": table.column_names},
        severity="table",
        expected=f"the columns {', '.join(table.column_names)}",
        seen="the columns {value}",
        advice=f"bring the job's select and schemas/{table.room}.py together",
    )


def _identity(rows_in: int, rows_rejected: int) -> Expectation:
    kept = rows_in - rows_rejected
    return Expectation(
        "expect_table_row_count_to_equal",
        {"value": kept},
        severity="table",
        expected=f"{counted(kept)}, {rows_in:,} in - {rows_rejected:,} rejected",
        seen="{rows}",
        advice="rows were lost or made on the way from the job to the lake: run the night again",
    )


def _reject_share(table: Table, rows_in: int) -> Expectation:
    return Expectation(
        "expect_reject_share_to_be_at_most",
        {"rows_in": rows_in, "limit": table.reject_limit},
        severity="table",
        expected=f"at most {table.reject_limit:.0%} rejected",
        seen=f"{{value:,}} of {rows_in:,} rows rejected",
        advice=f"see rule and reason in raw.rejects, mend the feed, and run {table.name} again",
    )


def _least(rows: int) -> Expectation:
    return Expectation(
        "expect_table_row_count_to_be_between",
        {"min_value": rows},
        severity="table",
        expected=f"at least {counted(rows)}",
        seen="{rows}",
        advice="the feed is cut short; wait for the rest and run the night again",
    )


def _unique(table: Table) -> Expectation:
    columns = unique_columns(table)
    return Expectation(
        "expect_key_to_be_unique",
        {"columns": columns},
        severity="table",
        expected=f"one row for each {', '.join(columns)}",
        seen="{rows} not unique",
        advice="drop copies in the job, or widen the table's key",
    )


def _anonymous(table: Table, k: int) -> Expectation:
    people = f"sum(`{table.people}`)" if table.people else f"count(DISTINCT `{table.person.name}`)"
    return Expectation(
        "expect_groups_to_hold_at_least",
        {"columns": [table.night, *table.anonymous], "people": people, "k": k},
        severity="table",
        expected=f"at least {k:,} people alike in {', '.join(table.anonymous)}",
        seen="{value:,} smaller groups",
        advice="tell less of them in the job, or leave them out; NIGHT_K says how many people a group needs",
    )


def _row(type: str, kwargs: dict, expected: str) -> Expectation:
    return Expectation(
        type,
        kwargs,
        severity="row",
        expected=expected,
        seen="{rows} break it",
        advice="the split by jobs/gate.py let them through; mend it",
    )


def _required(column: Column) -> RowRule:
    expectation = _row("expect_column_values_to_not_be_null", {"column": column.name}, "a value")
    return RowRule(column.name, f"`{column.name}` IS NULL", f"'{column.name} is missing'", expectation)


def _bounds(column: Column) -> list[RowRule]:
    # NaN is larger than every number in Spark, so a lower bound alone would let it pass
    bounded = column.minimum is not None or column.above is not None or column.maximum is not None
    nan = f"isnan(`{column.name}`)" if bounded and column.type in FLOATING else "false"
    bounds = []
    if column.minimum is not None:
        bounds.append(("<", column.minimum, {"min_value": column.minimum}, "at least"))
    if column.above is not None:
        bounds.append(("<=", column.above, {"min_value": column.above, "strict_min": True}, "above"))
    if column.maximum is not None:
        bounds.append((">", column.maximum, {"max_value": column.maximum}, "at most"))
    return [
        RowRule(
            column.name,
            f"`{column.name}` {sign} {bound!r} OR {nan}",
            _value(column.name),
            _row("expect_column_values_to_be_between", {"column": column.name, **limits}, f"{words} {bound:,.15g}"),
        )
        for sign, bound, limits, words in bounds
    ]


def _one_of(column: Column) -> RowRule:
    values = ", ".join(_literal(value) for value in column.one_of)
    expectation = _row(
        "expect_column_values_to_be_in_set",
        {"column": column.name, "value_set": list(column.one_of)},
        f"one of {', '.join(column.one_of)}",
    )
    return RowRule(column.name, f"`{column.name}` NOT IN ({values})", _value(column.name), expectation)


def _max_length(column: Column) -> RowRule:
    # Great Expectations' own rule of lengths is a second pass over the rows
    expectation = _row(
        "expect_rows_to_meet",
        {
            "column": column.name,
            "rule": column.name,
            "condition": f"coalesce(length(`{column.name}`), 0) <= {column.max_length}",
        },
        f"at most {column.max_length:,} characters",
    )
    seen = f"concat('{column.name} has ', format_number(length(`{column.name}`), 0), ' characters')"
    return RowRule(column.name, f"length(`{column.name}`) > {column.max_length}", seen, expectation)


def _condition(table: Table, name: str, condition: str, words: str = "") -> RowRule:
    """A rule over several columns; a condition that is null isn't met."""
    named = [column for column in table.column_names if re.search(rf"\b{column}\b", condition)]
    expectation = _row("expect_rows_to_meet", {"rule": name, "condition": condition}, words or condition)
    seen = f"concat_ws(', ', {', '.join(_value(column) for column in named)})"
    return RowRule(name, f"NOT coalesce({condition}, false)", seen, expectation)


def _value(column: str) -> str:
    """Spark SQL: ``amount = -3.0``, without the end of a long value."""
    return f"concat('{column} = ', coalesce(left(CAST(`{column}` AS STRING), {SHOWN}), 'null'))"


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
