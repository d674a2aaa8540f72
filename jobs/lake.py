"""The lake: starts Spark, reads Delta tables, and writes the runner's own; ``jobs.staging`` writes what jobs make.

A table is a Delta folder ``<lake>/<room>/<table>``. Every write replaces the rows of one night (the first night: of all
nights up to it) in one commit, so that a rerun gives the same table and a reader never sees half a night.
"""

import json
import logging
import os
import shutil
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from schemas import Table

log = logging.getLogger(__name__)

# spelled-out literals of this length are keys, never data: kept out of plans and event logs
SECRETS = r"(?i)X'[0-9a-f]{64,}'|0x[0-9a-f]{64,}|\[[0-9a-f]{2}( [0-9a-f]{2}){31,}\]"

# of delta.dataSkippingNumIndexedCols: a log that kept the least and largest id of each file would keep them for good
NO_VALUES = "0"

# the code that Spark makes of a table's rules is one long method, which Java would interpret: a third of raw.events.
# A heap in pages of 2 MiB makes behaviour.log in a twentieth less time; only Java on Linux knows the option
JAVA_OPTIONS = "-XX:-DontCompileHugeMethods -XX:+IgnoreUnrecognizedVMOptions -XX:+UseTransparentHugePages"


def session(name: str = "nightly") -> SparkSession:
    """Starts Spark with Delta, or returns the running session.

    Under ``spark-submit`` master, memory and JARs are the submitter's. Elsewhere Spark runs on this machine with the
    JARs of the folder ``NIGHT_JARS``, without a download.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = (
        SparkSession.builder.appName(name)
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        # a row may be all that a user ever took: few in a batch. Bytes without a bound, or Spark weighs the batch anew
        # with every row, an eighth of profiles.totals
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "1000")
        .config("spark.sql.execution.arrow.maxBytesPerBatch", str(2**31 - 1))
        # pandas writes times in nanoseconds, which Spark reads as numbers or not at all
        .config("spark.sql.legacy.parquet.nanosAsLong", "true")
        .config("spark.sql.redaction.string.regex", SECRETS)
        .config("spark.databricks.delta.snapshotPartitions", "2")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")  # as Delta has them
        # a night without rows signs its commit too: the check after each task looks for it
        .config("spark.databricks.delta.skipRecordingEmptyCommits", "false")
    )
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # not under spark-submit
        builder = _on_this_machine(builder)
    spark = builder.getOrCreate()
    if spark.sparkContext.master.startswith("local"):
        spark.conf.set("spark.sql.shuffle.partitions", "8")  # 200 tiny tasks cost seconds a shuffle on two cores
        # where Spark can join those that turn out small: of a hundred million events an eighth doesn't fit into memory
        spark.conf.set("spark.sql.adaptive.coalescePartitions.initialPartitionNum", "64")
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def _on_this_machine(builder: SparkSession.Builder) -> SparkSession.Builder:
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        raise OSError("Spark needs Java 17: install openjdk-17-jre-headless, or set JAVA_HOME")
    folder = Path(os.environ.get("NIGHT_JARS", "var/jars"))
    jars = sorted(str(jar.resolve()) for jar in folder.glob("*.jar"))
    if not jars:
        raise OSError(f"no Delta JARs in {folder.resolve()}: run `make setup`, or set NIGHT_JARS to their folder")
    return (
        builder.master("local[*]")
        .config("spark.jars", ",".join(jars))
        .config("spark.driver.memory", "4g")
        .config("spark.driver.extraJavaOptions", JAVA_OPTIONS)
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", str(sys.stderr.isatty()).lower())
    )


@dataclass(frozen=True)
class Lake:
    """A folder or bucket of Delta tables, seen through a Spark session."""

    spark: SparkSession
    uri: str

    def path(self, table: Table) -> str:
        return path(self.uri, table)

    def exists(self, table: Table) -> bool:
        return DeltaTable.is_deltatable(self.path(table))

    def read(self, table: Table, after: date | None = None, day: date | None = None) -> DataFrame:
        """The rows of the nights in (after, day]; a None bound is open.

        A column that the contract got after the table was made is null.

        Raises:
            ValueError: if the table doesn't exist, or lacks a column that its contract requires.
        """
        if not self.exists(table):
            raise ValueError(f"{table.name}: no Delta table at {self.path(table)}; run the job that makes it first")
        frame = self.spark.read.format("delta").load(self.path(table))
        missing = [column for column in table.columns if column.name not in frame.columns]
        required = ", ".join(column.name for column in missing if column.required)
        if required:
            raise ValueError(
                f"{table.name}: the table at {self.path(table)} has no column {required}, which is required; delete "
                "this folder and run the job that makes the table"
            )
        frame = frame.withColumns({column.name: F.lit(None).cast(column.type) for column in missing})
        condition = between(table.night, after, day)
        return frame.where(condition) if condition else frame

    def last_night(self, table: Table, before: date) -> date | None:
        """The latest night before ``before`` that left rows, or None."""
        return max((night for night in self._nights(table) if night < before), default=None)

    def counts(self, table: Table, after: date, day: date) -> dict[date, int]:
        """Rows of each night in (after, day] that left any."""
        return {night: rows for night, rows in self._nights(table).items() if after < night <= day}

    def _nights(self, table: Table) -> dict[date, int]:
        """Rows of each night that left any, by the table's log alone."""
        rows: dict[date, int] = {}
        if self.exists(table):
            for file in pa.table(DeltaTable(self.path(table)).get_add_actions()).to_pylist():
                night = file["partition"][table.night]
                rows[night] = rows.get(night, 0) + file["num_records"]
        return rows

    def dropped(self, table: Table, day: date) -> bool:
        """Whether the night ``day`` left no rows and is so old that upkeep drops such nights."""
        nights = self._nights(table) if table.keep_days is not None else {}
        return bool(nights) and day not in nights and day <= max(nights) - timedelta(days=table.keep_days)

    def has(self, table: Table, column: str, value: str) -> bool:
        """Whether any row has this value in a partition column, by the table's log alone."""
        if not self.exists(table):
            return False
        return bool(DeltaTable(self.path(table)).file_uris([(column, "=", value)]))

    def note(self, rows: list[tuple], table: Table, where: str, about: dict) -> None:
        """Puts a few rows in the place of those that meet ``where``, in one commit signed with ``about``.

        Without Spark, whose first commit of a session takes seconds.

        Raises:
            OSError: if another run committed to the table at the same moment; these rows are not in it.
        """
        self._grow(table)
        schema = to_arrow_schema(StructType.fromDDL(table.ddl))
        columns = dict(zip(table.column_names, zip(*rows, strict=True), strict=True))
        try:
            write_deltalake(
                self.path(table),
                pa.table({name: list(values) for name, values in columns.items()}, schema),
                mode="overwrite",
                predicate=where,
                partition_by=list(table.partition),
                commit_properties=CommitProperties(custom_metadata={"userMetadata": json.dumps(about)}),
            )
        except CommitFailedError as error:
            raise OSError(
                f"{table.name}: another run wrote the table at the same moment; run this one again when the other has "
                f"ended: {error}"
            ) from error

    def replace(self, frame: DataFrame, table: Table, where: str, about: dict) -> None:
        """Puts ``frame`` in the place of the rows that meet ``where``, in one commit signed with ``about``."""
        self._grow(table)
        (
            # Delta's own optimized writes start a task for each folder, which costs a year's history a minute
            frame.select(*table.column_names)
            .hint("rebalance", *table.partition)
            .write.format("delta")
            .mode("overwrite")
            .option("replaceWhere", where)
            .option("userMetadata", json.dumps(about))
            .option("delta.dataSkippingNumIndexedCols", NO_VALUES)
            .partitionBy(*table.partition)
            .save(self.path(table))
        )

    def _grow(self, table: Table) -> None:
        if self.exists(table):
            grow(DeltaTable(self.path(table)), table)


def grow(delta: DeltaTable, table: Table) -> None:
    """Adds what columns of its contract the table lacks, in a commit of their own; earlier nights have null there.

    Raises:
        ValueError: if a column that is there is of another type in the contract.
    """
    fields = Schema.from_json(StructType.fromDDL(table.ddl).json()).fields
    there = _types(delta.schema())
    for name, kind in _types(Schema(fields)).items():
        if there.get(name, kind) != kind:
            raise ValueError(
                f"{table.name}: {name} is {there[name]} in the table at {delta.table_uri}, and {kind} in its contract; "
                "delete this folder and run the job that makes the table, or write the table anew with this column cast"
            )
    missing = [field for field in fields if field.name not in there]
    if missing:
        delta.alter.add_columns(missing)
        names = ", ".join(field.name for field in missing)
        log.info("%s: the table got the column %s; nights before this one have null there", table.name, names)


def _types(schema: Schema) -> dict[str, str]:
    """Of each column its Spark SQL type; whether parts of it may be null is left out."""
    return {field.name: field.dataType.simpleString() for field in StructType.fromJson(json.loads(schema.to_json()))}


def path(uri: str, table: Table) -> str:
    """Where a table lies in the lake."""
    return f"{uri.rstrip('/')}/{table.name.replace('.', '/')}"


def between(column: str, after: date | None, day: date | None) -> str:
    """SQL for after < column <= day; a None bound is open, two give an empty text."""
    bounds = [(after, ">"), (day, "<=")]
    return " AND ".join(f"`{column}` {sign} DATE'{bound}'" for bound, sign in bounds if bound is not None)


def signed(uri: str, table: Table, day: date, run_id: str) -> bool:
    """Whether the run ``run_id`` committed the night ``day``. Reads the Delta log without Spark."""
    try:
        history = DeltaTable(path(uri, table)).history()
    except TableNotFoundError:
        return False
    notes = (json.loads(commit["userMetadata"]) for commit in history if commit.get("userMetadata"))
    return any(note.get("day") == day.isoformat() and note.get("run_id") == run_id for note in notes)
