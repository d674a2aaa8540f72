"""Insight: what the night says of itself."""

from schemas.contract import DAY, Column, Table

QUALITY = Table(
    name="insight.quality",
    doc="What each gate found, one row an expectation.",
    columns=(
        DAY,
        Column("table", "string", "the table that was checked", required=True),
        Column("expectation", "string", "Great Expectations' name of the rule", required=True),
        Column("column", "string", "the column it is about; null for the whole table"),
        Column("success", "boolean", "whether it held", required=True),
        Column("observed", "string", "what was seen"),
        Column("expected", "string", "what was asked"),
        Column("severity", "string", "row: broken rows went to raw.rejects; table: the night stopped", required=True),
        Column("rows_in", "bigint", "rows the job made", required=True),
        Column("rows_kept", "bigint", "rows that went on", required=True),
        Column("rows_rejected", "bigint", "rows in raw.rejects; kept + rejected = in", required=True),
        Column("run_id", "string", "the run that checked", required=True),
    ),
    key=(),
)

TABLES = (QUALITY,)
