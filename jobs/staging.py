"""Rows of a night on their way into a table: written once, audited where they lie, then named by one commit."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Literal
from uuid import uuid4

import pyarrow as pa
from deltalake import DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, CommitProperties, RemoveAction
from pyspark.sql import DataFrame, DataFrameWriter, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from jobs.erased import RULE, Erased
from jobs.lake import NO_VALUES, Lake, grow
from schemas import Table

NIGHT = "_night"  # of a rejected row: the columns that name its folder are null
TRANSACTION = "night"  # what Delta's log calls the publishing of a night
REJECTED = "__HIVE_DEFAULT_PARTITION__"  # how such a folder is called


@contextmanager
def stage(frame: DataFrame, table: Table, lake: Lake) -> Iterator["Staged"]:
    """Writes a judged ``frame`` once, into files of the table's folder that no commit names yet.

    What was audited is what is published, byte for byte. Files that are not published are gone at the end. Rejected
    rows lie apart in a folder without a partition value: a folder of another name, such as ``kept=false``, would keep
    Polars, which reads columns out of paths, from opening the table.
    """
    folder = f"night-{uuid4().hex}"
    where = f"{lake.path(table)}/{folder}"
    published = False
    kept = {name: F.when(F.col("_rule").isNull(), F.col(name)) for name in table.partition}
    apart = frame.withColumns({NIGHT: F.col(table.night), **kept})
    try:
        writer(apart, table).option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false").parquet(where)
        rows = lake.spark.read.schema(apart.schema).parquet(where)
        yield Staged(table, lake.path(table), folder, rows, _files(rows, table))
        published = True
    finally:
        _remove(lake.spark, f"{where}/{table.partition[0]}={REJECTED}" if published else where)


def writer(frame: DataFrame, table: Table) -> DataFrameWriter:
    """Writes a folder for each partition: one file in it, unless it is large, and many small folders a task."""
    # what is different in each row has no use for Parquet's dictionary, and hashes each value to find out
    unique = table.key if len(table.key) == 1 else ()
    return (
        frame.hint("rebalance", *table.partition)
        .write.options(**{f"parquet.enable.dictionary#{name}": "false" for name in unique})
        .partitionBy(*table.partition)
    )


@dataclass(frozen=True)
class Staged:
    """A night's rows in files that no commit names yet: ``rows`` as they were judged, ``files`` they lie in."""

    table: Table
    path: str
    folder: str
    rows: DataFrame
    files: list[Row]

    @property
    def kept(self) -> DataFrame:
        """The rows that broke no row rule, in the contract's columns."""
        return self.rows.where(F.col(self.table.night).isNotNull()).select(*self.table.column_names)

    @property
    def rejected(self) -> DataFrame:
        """The others, with ``_rule``, ``_reason`` and ``_source``."""
        return self.rows.where(F.col(self.table.night).isNull()).withColumn(self.table.night, F.col(NIGHT))

    def count(self, kept: bool, *, of: Literal["rows", "undated", "erased"] = "rows") -> int:
        """Rows kept or rejected: all, those without a night, or those of erased people that have one."""
        chosen = (file for file in self.files if (file[self.table.night] is not None) == kept)
        return sum(file[of] for file in chosen)

    def publish(self, after: date | None, day: date, about: dict, erased: Erased) -> None:
        """Puts the kept rows in the place of the nights in (after, day], in one commit signed with ``about``.

        Raises:
            ValueError: if a row belongs to another night.
            ErasedMeanwhileError: if somebody was erased since ``erased``; the rows are not in the table.
            OSError: if another run committed to the table at the same moment; this one's rows are not in it.
        """
        name, night = self.table.name, self.table.night
        files = [file for file in self.files if file[night] is not None]
        for file in files:
            if file[night] > day or (after is not None and file[night] <= after):
                raise ValueError(f"{name}: {night} is {file[night]} in rows of the nights after {after} up to {day}")
        schema = Schema.from_json(StructType.fromDDL(self.table.ddl).json())
        partition = list(self.table.partition)
        settings = {"delta.dataSkippingNumIndexedCols": NO_VALUES}
        delta = DeltaTable.create(self.path, schema, mode="ignore", partition_by=partition, configuration=settings)
        grow(delta, self.table)
        erased.check(self.table)  # after the table's version is known: an erasure that comes later meets our commit
        old = [
            RemoveAction(
                file["path"], True, int(time.time() * 1000), file["size_bytes"], partition_texts(file["partition"])
            )
            for file in pa.table(delta.get_add_actions()).to_pylist()
            if file["partition"][night] <= day and (after is None or file["partition"][night] > after)
        ]
        try:
            commit(delta, [*map(self._action, files), *old], about)
        except CommitFailedError as error:
            raise OSError(
                f"{name}: another run wrote the table at the same moment, so nothing of the night {day} was published; "
                f"run it again when the other has ended: {error}"
            ) from error

    def _action(self, file: Row) -> AddAction:
        inside = file["file_path"].split(f"/{self.folder}/", 1)[1]
        values = partition_texts({name: file[name] for name in self.table.partition})
        modified = int(file["file_modification_time"].timestamp() * 1000)
        stats = json.dumps({"numRecords": file["rows"]})
        return AddAction(f"{self.folder}/{inside}", file["file_size"], values, modified, True, stats)


def commit(delta: DeltaTable, actions: list[AddAction | RemoveAction], about: dict) -> None:
    """Commits to the version ``delta`` was opened at, signed with ``about``.

    Raises:
        CommitFailedError: if another commit of this function came first.
    """
    # two runs that name the same transaction exclude each other: else both would add the rows of a first night
    one_at_a_time = Transaction(TRANSACTION, delta.version() + 1)
    properties = CommitProperties(custom_metadata={"userMetadata": json.dumps(about)}, app_transactions=[one_at_a_time])
    partition = delta.metadata().partition_columns
    delta.create_write_transaction(actions, "append", delta.schema(), partition, commit_properties=properties)


def _files(rows: DataFrame, table: Table) -> list[Row]:
    told = ("file_path", "file_size", "file_modification_time")
    by = [F.col(f"_metadata.{name}").alias(name) for name in told]
    undated = F.col(NIGHT).isNull()
    counts = (
        F.count(F.lit(1)).alias("rows"),
        F.count_if(undated).alias("undated"),
        F.count_if((F.col("_rule") == RULE) & ~undated).alias("erased"),
    )
    return rows.groupBy(*by, *table.partition).agg(*counts).collect()


def partition_texts(partition: dict) -> dict[str, str | None]:
    """Partition values as Delta's log has them."""
    return {name: None if value is None else str(value) for name, value in partition.items()}


def _remove(spark: SparkSession, where: str) -> None:
    folder = spark._jvm.org.apache.hadoop.fs.Path(where)
    folder.getFileSystem(spark._jsc.hadoopConfiguration()).delete(folder, True)
