"""Tonight's business rules after resolution: which hold, what they name, and which gave way to which.

A set of rules that contradict each other is no error: jobs/ranking/rules.py has the order that decides, and here each
rule that loses everywhere is told which one it gave way to.
"""

from datetime import date

import numpy as np
from pyspark.sql import DataFrame, Row

import schemas
from jobs.lists.blocks import Block
from jobs.lists.named import ASKED, Named, target
from jobs.lists.reasons import in_words
from jobs.lists.standing import Standing
from jobs.reads import on
from schemas.lists import AS_WRITTEN, SURFACES

READS = {"items": on("catalogue.items"), "written": on("raw.rules", optional=True)}
TABLE = schemas.table("lists.rules")


def rules(items: DataFrame, written: DataFrame | None, *, day: date) -> DataFrame:
    """One row a rule that was delivered.

    Args:
        items: catalogue.items of the night.
        written: raw.rules of the night; None where the shop has none.
        day: the night; a rule holds from its start_day to its end_day, both included.
    """
    rows = [] if written is None else sorted(written.collect(), key=lambda row: row["rule_id"])
    spark = items.sparkSession
    if not rows:
        return spark.createDataFrame([], TABLE.ddl)
    block = Block.pull(items.select("item_id", "on_sale", *ASKED))
    named = Named.of(block)
    on_sale = np.flatnonzero(block.columns["on_sale"].to_numpy(zero_copy_only=False))
    counts = {row["rule_id"]: _count(named, row, on_sale) for row in rows}
    told = {row["rule_id"]: _by_itself(row, counts[row["rule_id"]], named, day) for row in rows}
    holding = [row for row in rows if told[row["rule_id"]] is None]
    standing = Standing.of(named, holding, on_sale)
    for row in holding:
        told[row["rule_id"]] = standing.lost(row) or ("active", _holds(row, counts[row["rule_id"]], standing))
    values = [
        {"day": day, "rule_id": row["rule_id"], "action": row["action"], "items": counts[row["rule_id"]]}
        | dict(zip(("state", "told"), told[row["rule_id"]], strict=True))
        | {name: row[name] for name in AS_WRITTEN}
        for row in rows
    ]
    return spark.createDataFrame([tuple(map(row.get, TABLE.column_names)) for row in values], TABLE.ddl)


def _count(named: Named, row: Row, on_sale: np.ndarray) -> int:
    rule = named.rule(row)
    return int(named.goods.at(on_sale).named(rule.kind, rule.number).sum())


def _by_itself(row: Row, count: int, named: Named, day: date) -> tuple[str, str] | None:
    """State and sentence of a rule that doesn't hold tonight, whatever the others say; None for one that does."""
    if row["start_day"] and row["start_day"] > day:
        return "not_yet", f"Starts on {in_words(row['start_day'])}."
    if row["end_day"] and row["end_day"] < day:
        return "over", f"Ended on {in_words(row['end_day'])}."
    lengths = {surface.name: surface.length for surface in SURFACES}
    if row["surface"] not in (None, *lengths):
        return "names_nothing", f"No surface is called {row['surface']!r}; there are: {', '.join(lengths)}."
    longest = lengths.get(row["surface"], max(lengths.values()))
    if row["action"] == "pin" and row["value"] > longest:
        return "names_nothing", f"Rank {row['value']:.0f} lies past the {longest} places of a list."
    if count:
        return None
    kind, name = target(row)
    if not kind:
        return "names_nothing", "No item is on sale."
    if named.number(kind, name) < 0:
        return "names_nothing", f"The catalogue has no {kind} {name!r}: mend the name, or take the rule out."
    return "names_nothing", f"Nothing of {kind} {name!r} is on sale."


def _holds(row: Row, count: int, standing: Standing) -> str:
    """In one sentence what an active rule names, until when, and what others take from it."""
    until = f" until {in_words(row['end_day'])}" if row["end_day"] else ""
    told = f"Names {count:,} {'item' if count == 1 else 'items'} on sale{until}"
    return "; ".join([told, *standing.partly(row)]) + "."
