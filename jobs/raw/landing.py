"""What every raw table does with its source's rows: cast them, name them, and keep one row a key."""

from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.sources.typed import typed
from schemas import Table

BETWEEN = "\x1f"  # a control character that no source writes


def landed(rows: DataFrame, table: Table, day: date) -> DataFrame:
    """The source's rows in the contract's columns, then ``_rule``, ``_reason`` and ``_source`` of rows to reject.

    A snapshot without a ``day`` gets the night's. See :func:`jobs.sources.typed.typed` for the casts.
    """
    return typed(rows if "day" in rows.columns else rows.withColumn("day", F.lit(day)), table)


def with_id(rows: DataFrame, name: str) -> DataFrame:
    """Fills the id ``name``, where the source has none, with an MD5 of what the row says.

    Rows that are alike in all but the day they arrived get the same id: they are one row twice. Nulls take no part, so
    that a new column of the contract leaves the ids of earlier nights as they are.
    """
    told = [column for column in rows.columns if column not in (name, "day") and not column.startswith("_")]
    values = [F.concat(F.lit(f"{column}="), F.col(column).cast("string")) for column in told]
    return rows.withColumn(name, F.coalesce(F.col(name), F.md5(F.concat_ws(BETWEEN, *values))))


def first_of_each(rows: DataFrame, table: Table) -> DataFrame:
    """Rejects all but one of the good rows that share the table's key in a night, the same one on every run."""
    good = F.col("_rule").isNull()
    copies = Window.partitionBy("day", *table.key, good).orderBy(F.to_json(F.struct(*table.column_names)))
    again = good & (F.row_number().over(copies) > 1)
    numbered = rows.withColumn("_again", again)
    reason = F.concat(F.lit(f"{', '.join(table.key)}: "), _key(table), F.lit(" came twice in a night; one is kept"))
    again = F.col("_again")
    return numbered.select(
        *table.column_names,
        F.when(again, "duplicate").otherwise(F.col("_rule")).alias("_rule"),
        F.when(again, reason).otherwise(F.col("_reason")).alias("_reason"),
        F.when(again, F.to_json(F.struct(*table.column_names))).otherwise(F.col("_source")).alias("_source"),
    )


def _key(table: Table) -> Column:
    return F.concat_ws(", ", *(F.col(name).cast("string") for name in table.key))
