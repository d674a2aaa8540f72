"""Insight: what the night says of itself."""

from schemas.contract import DAY, YEAR, Column, Table
from schemas.exports import BUDGET, COHORTS, RELEASED

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
    keep_days=YEAR,
    key=(),
)

FORECASTS = Table(
    name="insight.forecasts",
    doc="Units that will be bought in each of the next 28 days, a category or an item that sells often.",
    columns=(
        DAY,
        Column("level", "string", "what is foretold", required=True, one_of=("category", "item")),
        Column("name", "string", "the category, or the item_id, as in catalogue.items", required=True),
        Column("for_day", "date", "the day that is foretold, 1 to 28 days after the night", required=True),
        Column("units", "double", "expected units", required=True, minimum=0),
        Column("low", "double", "nine days in ten lie from low to high; null before 35 days of sales", minimum=0),
        Column("high", "double", "the upper end", minimum=0),
        Column(
            "model",
            "string",
            "theta; weekday_mean of the last 8 weeks where the history is short",
            required=True,
            one_of=("theta", "weekday_mean"),
        ),
    ),
    keep_days=YEAR,
    key=("level", "name", "for_day"),
    rows=(
        ("ahead", "datediff(for_day, day) BETWEEN 1 AND 28"),
        ("ordered", "low IS NULL AND high IS NULL OR low <= units AND units <= high"),
    ),
)

TABLES = (QUALITY, FORECASTS, COHORTS, RELEASED, BUDGET)
