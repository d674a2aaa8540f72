"""The gate that every table passes before it replaces a night: bad rows are split off, the rest is audited.

The rules are the contract's, as ``schemas/expectations.py`` derives them; Great Expectations checks them on Spark.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import reduce
from pathlib import Path

import great_expectations as gx
from great_expectations.core import ExpectationSuite, ValidationDefinition
from great_expectations.core.expectation_validation_result import ExpectationValidationResult
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.data_context.types.resource_identifiers import (
    ExpectationSuiteIdentifier,
    ValidationResultIdentifier,
)
from great_expectations.expectations.registry import get_expectation_impl
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

import jobs.rules  # noqa: F401  registers our expectations with Great Expectations
from schemas import Table
from schemas.contract import FEWEST
from schemas.expectations import Expectation, RowRule, counted, row_rules, suite

PAGES = 500  # of the docs that their index lists, the latest first: a month of nights
COUNTS_ONLY = {"result_format": "BASIC", "partial_unexpected_count": 0}  # examples would cost a pass over the rows each
GRADES = {"row": "warning", "table": "critical"}  # what Great Expectations calls our severities


@dataclass(frozen=True)
class Counts:
    """Rows of a job's frame, and those of up to seven earlier nights.

    ``repeated`` are those of the rejected rows that an earlier night was already told of: no fault of this one.
    """

    rows_in: int
    rows_kept: int
    rows_rejected: int
    history: tuple[int, ...] = ()
    repeated: int = 0


@dataclass(frozen=True)
class Verdict:
    """What an audit found: rows of ``insight.quality``, and one line a broken rule; no line, no objection."""

    rows: list[tuple]
    broken: list[str]


def judge(frame: DataFrame, table: Table) -> DataFrame:
    """Says of every row whether it keeps the contract's row rules.

    Args:
        frame: a job's rows. Where the job filled ``_rule`` (and ``_reason``, ``_source``) itself, that stands.
        table: the contract.

    Returns:
        The contract's columns in its order and types, then three strings, null for good rows: ``_rule``, the first rule
        the row breaks; ``_reason`` for a person, ``amount = -3.0, expected at least 0``; ``_source``, the row as JSON.

    Raises:
        ValueError: if the frame lacks a column of the contract.
    """
    missing = [name for name in table.column_names if name not in frame.columns]
    if missing:
        raise ValueError(
            f"{table.name}: the job's frame has no column {', '.join(missing)}; add it to the job's select, or take it "
            f"out of the contract in schemas/{table.room}.py"
        )
    given = {name: F.col(name) if name in frame.columns else F.lit(None) for name in ("_rule", "_reason", "_source")}
    rows = frame.select(
        *(F.col(column.name).cast(column.type).alias(column.name) for column in table.columns),
        *(column.cast("string").alias(name) for name, column in given.items()),
    )
    rules = row_rules(table)
    names, reasons = ([F.lit(rule.name) for rule in rules], [_reason(rule) for rule in rules])
    by_job, broken = F.col("_rule").isNotNull(), F.col("_broken")
    bad = by_job | broken.isNotNull()
    return rows.withColumn("_broken", _first_broken(rules)).select(
        *table.column_names,
        F.coalesce("_rule", _chosen(broken, names)).alias("_rule"),
        F.when(by_job, F.coalesce("_reason", "_rule")).otherwise(_chosen(broken, reasons)).alias("_reason"),
        F.when(bad, F.coalesce("_source", F.to_json(F.struct(*table.column_names)))).alias("_source"),
    )


def _first_broken(rules: list[RowRule]) -> Column:
    """The place of the first rule that a row breaks, from 0."""
    return F.coalesce(F.lit(None).cast("int"), *(F.when(F.expr(rule.broken), n) for n, rule in enumerate(rules)))


def _chosen(place: Column, values: list[Column]) -> Column:
    """``values[place]``; null where ``place`` is null."""
    empty = F.lit(None).cast("string")
    return reduce(lambda rest, n: F.when(place == n, values[n]).otherwise(rest), reversed(range(len(values))), empty)


def _reason(rule: RowRule) -> Column:
    return F.concat(F.expr(rule.seen), F.lit(f", expected {rule.expectation.expected}"))


class Gate:
    """Audits tables with Great Expectations and keeps the results as Data Docs.

    Args:
        docs: folder of the Data Docs, which start at its ``index.html``; their data stays there from night to night.
        k: people that a group holds at least where a table promises anonymity.
    """

    def __init__(self, docs: str, k: int = FEWEST):
        self._k = k
        self._context = gx.get_context(_config(docs), mode="ephemeral")
        # Spark's frames come cached from the runner where that pays; a second cache never does
        self._lake = self._context.data_sources.add_spark("lake", persist=False)
        self._pages: list[ValidationResultIdentifier | ExpectationSuiteIdentifier] = []

    def audit(self, kept: DataFrame, table: Table, counts: Counts, day: date, run_id: str) -> Verdict:
        """Holds the rows that were kept against the contract.

        Args:
            kept: the contract's columns of the rows that broke no row rule. Read three times: pass it materialised.
            table: the contract.
            counts: of the frame that ``kept`` was split from.
            day: the night.
            run_id: the run that asks.

        Raises:
            RuntimeError: if an expectation could not be checked; a rule that wasn't checked is not a rule that held.
        """
        asked = suite(table, counts.rows_in, counts.rows_rejected, counts.history, counts.repeated, self._k)
        results = self._validate(kept, table, asked, day)
        about = (counts.rows_in, counts.rows_kept, counts.rows_rejected, run_id)
        return Verdict(
            rows=[(day, table.name, *_quality(rule, result), *about) for rule, result in results],
            broken=[_told(rule, result) for rule, result in results if not result.success],
        )

    def publish_docs(self) -> None:
        """Writes the pages of everything audited since the last call, and the index of all of them."""
        self._context.build_data_docs(resource_identifiers=self._pages)
        self._pages = []

    def _validate(
        self, kept: DataFrame, table: Table, asked: list[Expectation], day: date
    ) -> list[tuple[Expectation, ExpectationValidationResult]]:
        """Each expectation with its result, in the order of ``asked``."""
        context, lake = self._context, self._lake
        known = {asset.name for asset in lake.assets}
        asset = lake.get_asset(table.name) if table.name in known else lake.add_dataframe_asset(table.name)
        name = day.isoformat()
        batches = {batch.name: batch for batch in asset.batch_definitions}
        batch = batches.get(name) or asset.add_batch_definition_whole_dataframe(name)
        expectations = [_expectation(n, rule) for n, rule in enumerate(asked)]
        checks = context.suites.add_or_update(ExpectationSuite(table.name, expectations))
        definition = context.validation_definitions.add_or_update(
            ValidationDefinition(name=f"{table.name} {name}", data=batch, suite=checks)
        )
        run = RunIdentifier(run_name=name, run_time=datetime.combine(day, time(), UTC))
        validated = definition.run(batch_parameters={"dataframe": kept}, result_format=COUNTS_ONLY, run_id=run)
        suite_id = ExpectationSuiteIdentifier(table.name)
        self._pages += [suite_id, ValidationResultIdentifier(suite_id, run, validated.batch_id)]
        results = {result.expectation_config.meta["place"]: result for result in validated.results}
        for n, rule in enumerate(asked):
            _raise_if_unchecked(table, rule, results[n])
        return [(rule, results[n]) for n, rule in enumerate(asked)]


def _config(docs: str) -> DataContextConfig:
    """Results and suites lie beside the pages, so that the index of a later night still lists them."""
    folder = Path(docs).resolve()
    defaults = InMemoryStoreBackendDefaults()
    for name, kind in (
        (defaults.expectations_store_name, "suites"),
        (defaults.validation_results_store_name, "results"),
    ):
        defaults.stores[name]["store_backend"] = _files(folder / "data" / kind)
    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": _files(folder),
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder", "validation_results_limit": PAGES},
    }
    return DataContextConfig(
        store_backend_defaults=defaults,
        data_docs_sites={"night": site},
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )


def _files(folder: Path) -> dict:
    return {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}


def _expectation(place: int, rule: Expectation):
    """The object of Great Expectations; its result carries ``place`` back."""
    make = get_expectation_impl(rule.type)
    # the pages have words of their own for rules of one column
    words = None if rule.type.startswith("expect_column_") else rule.expected
    if words and "column" in rule.kwargs:
        words = f"{rule.kwargs['column']}: {words}"
    return make(**rule.kwargs, description=words, severity=GRADES[rule.severity], meta={"place": place})


def _raise_if_unchecked(table: Table, rule: Expectation, result: ExpectationValidationResult) -> None:
    told = result.exception_info
    causes = [told] if "raised_exception" in told else told.values()
    for cause in causes:
        if cause["raised_exception"]:
            raise RuntimeError(f"{table.name}: {rule.type} {rule.kwargs} was not checked: {cause['exception_message']}")


def _quality(rule: Expectation, result: ExpectationValidationResult) -> tuple:
    """The columns of ``insight.quality`` from expectation to severity."""
    column = rule.kwargs.get("column")
    return rule.type, column, bool(result.success), _seen(rule, result), rule.expected, rule.severity


def _told(rule: Expectation, result: ExpectationValidationResult) -> str:
    column = f"{rule.kwargs['column']}: " if "column" in rule.kwargs else ""
    return f"{column}{_seen(rule, result)}, expected {rule.expected}: {rule.advice}"


def _seen(rule: Expectation, result: ExpectationValidationResult) -> str:
    """What was observed, for a person."""
    found = result.result
    # a sum over no rows is null
    value = (found["unexpected_count"] or 0) if "unexpected_count" in found else found["observed_value"]
    if isinstance(value, list):
        return rule.seen.format(value=", ".join(value))
    return rule.seen.format(value=value, rows=counted(value))
