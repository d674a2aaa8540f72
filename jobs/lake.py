"""The lake: the only place that starts Spark, reads Delta tables and writes them.

A table is a Delta folder ``<lake>/<room>/<table>``. Every write replaces the rows of one night (the first night: of all
nights up to it) in one commit, so that a rerun gives the same table and a reader never sees half a night.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
from deltalake import DeltaTable, Schema
from deltalake.exceptions import TableNotFoundError
from deltalake.transaction import AddAction, CommitProperties, RemoveAction
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, StructField, StructType

from schemas import Table

KEPT = "kept"  # whether a staged row goes on; names a folder, so without the underscore that would hide it from VACUUM

# spelled-out literals of this length are keys, never data: kept out of plans and event logs
SECRETS = r"(?i)X'[0-9a-f]{64,}'|0x[0-9a-f]{64,}|\[[0-9a-f]{2}( [0-9a-f]{2}){31,}\]"

# the code that Spark makes of a table's rules is one long method, which Java would interpret: a third of raw.events
JAVA_OPTIONS = "-XX:-DontCompileHugeMethods"


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

        Raises:
            ValueError: if the table doesn't exist, or lacks a column of its contract.
        """
        if not self.exists(table):
            raise ValueError(f"{table.name}: no Delta table at {self.path(table)}; run the job that makes it first")
        frame = self.spark.read.format("delta").load(self.path(table))
        missing = [name for name in table.column_names if name not in frame.columns]
        if missing:
            raise ValueError(f"{table.name}: the table at {self.path(table)} has no column {', '.join(missing)}")
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

    @contextmanager
    def staged(self, frame: DataFrame, table: Table) -> Iterator["Staged"]:
        """Writes a judged ``frame`` once, into files of the table's folder that no commit names yet.

        What was audited is what is published, byte for byte. Files that are not published are gone at the end.
        """
        folder = f"night-{uuid4().hex}"
        where = f"{self.path(table)}/{folder}"
        published = False
        try:
            (
                # one file a folder, unless it is large, and many small folders a task
                frame.withColumn(KEPT, F.col("_rule").isNull())
                .hint("rebalance", KEPT, *table.partition)
                .write.option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
                .partitionBy(KEPT, *table.partition)
                .parquet(where)
            )
            schema = StructType([*frame.schema, StructField(KEPT, BooleanType())])
            rows = self.spark.read.schema(schema).parquet(where)
            yield Staged(self, table, folder, rows, _files(rows, table))
            published = True
        finally:
            self._remove(f"{where}/{KEPT}=false" if published else where)

    def _remove(self, where: str) -> None:
        folder = self.spark._jvm.org.apache.hadoop.fs.Path(where)
        folder.getFileSystem(self.spark._jsc.hadoopConfiguration()).delete(folder, True)

    def replace(self, frame: DataFrame, table: Table, where: str, about: dict) -> None:
        """Puts ``frame`` in the place of the rows that meet ``where``, in one commit signed with ``about``."""
        (
            # Delta's own optimized writes start a task for each folder, which costs a year's history a minute
            frame.select(*table.column_names)
            .hint("rebalance", *table.partition)
            .write.format("delta")
            .mode("overwrite")
            .option("replaceWhere", where)
            .option("userMetadata", json.dumps(about))
            .partitionBy(*table.partition)
            .save(self.path(table))
        )


@dataclass(frozen=True)
class Staged:
    """A night's rows in files that no commit names yet: ``rows`` as they were judged, ``files`` they lie in."""

    lake: Lake
    table: Table
    folder: str
    rows: DataFrame
    files: list[Row]

    @property
    def kept(self) -> DataFrame:
        """The rows that broke no row rule, in the contract's columns."""
        return self.rows.where(F.col(KEPT)).select(*self.table.column_names)

    @property
    def rejected(self) -> DataFrame:
        """The others, with ``_rule``, ``_reason`` and ``_source``."""
        return self.rows.where(~F.col(KEPT))

    def count(self, kept: bool, *, undated: bool = False) -> int:
        """Rows kept or rejected; with ``undated``, those of them without a night."""
        chosen = (file for file in self.files if file[KEPT] == kept)
        return sum(file["rows"] for file in chosen if not undated or file[self.table.night] is None)

    def publish(self, after: date | None, day: date, about: dict) -> None:
        """Puts the kept rows in the place of the nights in (after, day], in one commit signed with ``about``.

        Raises:
            ValueError: if a row belongs to another night.
        """
        name, night = self.table.name, self.table.night
        files = [file for file in self.files if file[KEPT]]
        for file in files:
            if file[night] > day or (after is not None and file[night] <= after):
                raise ValueError(f"{name}: {night} is {file[night]} in rows of the nights after {after} up to {day}")
        schema = Schema.from_json(StructType.fromDDL(self.table.ddl).json())
        partition = list(self.table.partition)
        delta = DeltaTable.create(self.lake.path(self.table), schema, mode="ignore", partition_by=partition)
        old = [
            RemoveAction(file["path"], True, int(time.time() * 1000), file["size_bytes"], _texts(file["partition"]))
            for file in pa.table(delta.get_add_actions()).to_pylist()
            if file["partition"][night] <= day and (after is None or file["partition"][night] > after)
        ]
        properties = CommitProperties(custom_metadata={"userMetadata": json.dumps(about)})
        delta.create_write_transaction(
            [*map(self._action, files), *old], "append", schema, partition, commit_properties=properties
        )

    def _action(self, file: Row) -> AddAction:
        inside = file["file_path"].split(f"/{self.folder}/", 1)[1]
        values = _texts({name: file[name] for name in self.table.partition})
        modified = int(file["file_modification_time"].timestamp() * 1000)
        stats = json.dumps({"numRecords": file["rows"]})
        return AddAction(f"{self.folder}/{inside}", file["file_size"], values, modified, True, stats)


def _files(rows: DataFrame, table: Table) -> list[Row]:
    told = ("file_path", "file_size", "file_modification_time")
    by = [F.col(f"_metadata.{name}").alias(name) for name in told]
    return rows.groupBy(*by, KEPT, *table.partition).agg(F.count(F.lit(1)).alias("rows")).collect()


def _texts(partition: dict) -> dict[str, str | None]:
    """Partition values as Delta's log has them."""
    return {name: None if value is None else str(value) for name, value in partition.items()}


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
