"""The expectations that Great Expectations lacks, as its custom expectations on Spark.

Each is one aggregate: it is computed beside the others of its suite, in the same pass over the rows.
"""

from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
from great_expectations.execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_partial, metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from great_expectations.validator.metric_configuration import MetricConfiguration
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

BUCKET = 250_000  # hashes that one task compares at a time: 2 MB


class RowBreaks(TableMetricProvider):
    """Whether a row doesn't meet a Spark SQL condition, as a column; a null isn't met."""

    metric_name = "rows.breaking.condition"
    value_keys = ("condition",)

    @metric_value(engine=SparkDFExecutionEngine)
    def _spark(cls, execution_engine, metric_domain_kwargs, metric_value_kwargs, metrics, runtime_configuration):  # noqa: N805
        return ~F.coalesce(F.expr(metric_value_kwargs["condition"]), F.lit(False))

    @classmethod
    def _get_evaluation_dependencies(
        cls, metric, configuration=None, execution_engine=None, runtime_configuration=None
    ):
        needed = super()._get_evaluation_dependencies(metric, configuration, execution_engine, runtime_configuration)
        return needed | {"table.row_count": _row_count(metric)}


class RowsBreaking(TableMetricProvider):
    """Number of rows that break a condition.

    Rules are aggregated together when they wait for the same: number of rows, condition, count, as those of one column.
    """

    metric_name = "rows.breaking"
    value_keys = ("condition",)

    @metric_partial(
        engine=SparkDFExecutionEngine,
        partial_fn_type=MetricPartialFunctionTypes.AGGREGATE_FN,
        domain_type=MetricDomainTypes.TABLE,
    )
    def _spark(cls, execution_engine, metric_domain_kwargs, metric_value_kwargs, metrics, runtime_configuration):  # noqa: N805
        return F.count(F.when(metrics["rows.breaking.condition"], 1)), metric_domain_kwargs, {}

    @classmethod
    def _get_evaluation_dependencies(
        cls, metric, configuration=None, execution_engine=None, runtime_configuration=None
    ):
        needed = super()._get_evaluation_dependencies(metric, configuration, execution_engine, runtime_configuration)
        if not metric.metric_name.endswith(".aggregate_fn"):
            return needed
        condition = MetricConfiguration(
            "rows.breaking.condition", metric.metric_domain_kwargs, metric.metric_value_kwargs
        )
        return needed | {"rows.breaking.condition": condition}


class RowsRepeatingKey(TableMetricProvider):
    """Number of rows whose key another row has already."""

    metric_name = "rows.repeating_key"
    value_keys = ("columns",)

    @metric_value(engine=SparkDFExecutionEngine)
    def _spark(cls, execution_engine, metric_domain_kwargs, metric_value_kwargs, metrics, runtime_configuration):  # noqa: N805
        frame = execution_engine.get_domain_records(domain_kwargs=metric_domain_kwargs)
        return repeating(frame, list(metric_value_kwargs["columns"]), metrics["table.row_count"])

    @classmethod
    def _get_evaluation_dependencies(
        cls, metric, configuration=None, execution_engine=None, runtime_configuration=None
    ):
        needed = super()._get_evaluation_dependencies(metric, configuration, execution_engine, runtime_configuration)
        return needed | {"table.row_count": _row_count(metric)}


def _row_count(metric: MetricConfiguration) -> MetricConfiguration:
    return MetricConfiguration("table.row_count", metric_domain_kwargs=metric.metric_domain_kwargs)


def repeating(frame: DataFrame, columns: list[str], rows: int) -> int:
    """Number of the frame's ``rows`` rows whose ``columns`` another row has already. Nulls are alike.

    As many 64-bit hashes as rows prove that all keys differ, and they are far cheaper to compare than the keys. Only
    when there are fewer, for a repeated key or by chance, are the keys themselves counted.
    """
    # xxhash64 skips nulls: without saying where they stand, (a, null) and (null, a) would be one
    hashes = frame.select(F.xxhash64(*columns, *(F.isnull(name) for name in columns)).alias("hash"))
    buckets = hashes.groupBy(F.pmod("hash", F.lit(rows // BUCKET + 1))).agg(F.collect_list("hash").alias("hashes"))
    distinct = buckets.agg(F.sum(F.size(F.array_distinct("hashes")))).first()[0] or 0
    if distinct == rows:
        return 0
    return rows - frame.select(*columns).distinct().count()


class GroupsOfFew(TableMetricProvider):
    """Number of groups of rows alike in ``columns`` that stand for fewer than ``k`` people; nulls are alike.

    ``people`` is a Spark SQL aggregate: how many people a group's rows stand for.
    """

    metric_name = "groups.of_few"
    value_keys = ("columns", "people", "k")

    @metric_value(engine=SparkDFExecutionEngine)
    def _spark(cls, execution_engine, metric_domain_kwargs, metric_value_kwargs, metrics, runtime_configuration):  # noqa: N805
        frame = execution_engine.get_domain_records(domain_kwargs=metric_domain_kwargs)
        people = F.coalesce(F.expr(metric_value_kwargs["people"]), F.lit(0))
        groups = frame.groupBy(*metric_value_kwargs["columns"]).agg(people.alias("_people"))
        return groups.where(F.col("_people") < metric_value_kwargs["k"]).count()


class ExpectRowsToMeet(BatchExpectation):
    """Every row meets a Spark SQL condition over its columns."""

    rule: str
    condition: str
    column: str | None = None  # for insight.quality, where the condition is about one

    metric_dependencies = ("rows.breaking",)
    success_keys = ("condition",)
    args_keys = ("rule", "condition", "column")

    def _validate(self, metrics, runtime_configuration=None, execution_engine=None):
        return {"success": metrics["rows.breaking"] == 0, "result": {"observed_value": metrics["rows.breaking"]}}


class ExpectKeyToBeUnique(BatchExpectation):
    """No two rows agree in all of the columns."""

    columns: list[str]

    metric_dependencies = ("rows.repeating_key",)
    success_keys = ("columns",)
    args_keys = ("columns",)

    def _validate(self, metrics, runtime_configuration=None, execution_engine=None):
        repeated = metrics["rows.repeating_key"]
        return {"success": repeated == 0, "result": {"observed_value": repeated}}


class ExpectGroupsToHoldAtLeast(BatchExpectation):
    """Rows that are alike in all of the columns stand for at least ``k`` people (k-anonymity)."""

    columns: list[str]
    people: str
    k: int

    metric_dependencies = ("groups.of_few",)
    success_keys = ("columns", "people", "k")
    args_keys = ("columns", "people", "k")

    def _validate(self, metrics, runtime_configuration=None, execution_engine=None):
        few = metrics["groups.of_few"]
        return {"success": few == 0, "result": {"observed_value": few}}


class ExpectRejectShareToBeAtMost(BatchExpectation):
    """Of ``rows_in`` rows at most the share ``limit`` is missing from the table."""

    rows_in: int
    limit: float

    metric_dependencies = ("table.row_count",)
    success_keys = ("rows_in", "limit")
    args_keys = ("rows_in", "limit")

    def _validate(self, metrics, runtime_configuration=None, execution_engine=None):
        rejected = self.rows_in - metrics["table.row_count"]
        return {"success": rejected <= self.limit * self.rows_in, "result": {"observed_value": rejected}}
