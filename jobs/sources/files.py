"""Files as shops keep them: finds them, checks their columns, reads each row and loses none."""

import csv
import re
from collections import defaultdict
from collections.abc import Sequence

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

FORMATS = {"csv": "csv", "tsv": "csv", "json": "json", "jsonl": "json", "ndjson": "json", "parquet": "parquet"}
SAMPLE = 1_000  # lines of JSON whose fields are looked at
PYTHON_ESCAPE = r"(?<!\\)((?:\\\\)*)\\x([0-9a-fA-F]{2})"  # never in JSON, so that no JSON changes
BROKEN = "_line"  # the whole text of a line that can't be split into its columns


def found(spark: SparkSession, data: str, pattern: str, wanted_by: str) -> list[str]:
    """The paths under ``data`` that match ``pattern`` (a Hadoop glob, any file system), sorted; at least one.

    Names that begin with ``_`` or ``.`` are markers and are left out, as everywhere in Spark.

    Raises:
        ValueError: if there is none.
    """
    where = f"{data.rstrip('/')}/{pattern}"
    try:
        listing = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(where).select("path")
        paths = sorted(row["path"] for row in listing.collect())
    except PySparkException as error:
        raise ValueError(f"{wanted_by}: no file matches {where}") from error
    if not paths:
        raise ValueError(f"{wanted_by}: no file matches {where}")
    return paths


def frames(
    spark: SparkSession,
    paths: Sequence[str],
    columns: Sequence[str],
    wanted_by: str,
    *,
    optional: Sequence[str] = (),
    separator: str = ",",
    multiline: bool = False,
) -> list[DataFrame]:
    """The rows of ``paths``: one frame for all files of a layout. The suffix tells the format.

    Each frame has ``columns`` under their own names (text, except from Parquet), ``_file`` (where the row lies), and,
    for rejects, ``_row`` (the row as written), ``_rule`` and ``_reason`` (lines that can't be split into columns).

    Args:
        paths: ``.csv``, ``.tsv`` (UTF-8, a header line, quotes doubled inside quotes), ``.jsonl``, ``.json``,
            ``.ndjson`` (one object a line), each also with ``.gz``, or ``.parquet``.
        columns: those to read.
        wanted_by: who asks, for the messages.
        optional: columns that a file may lack; they are null there.
        separator: between the columns of ``.csv``.
        multiline: whether a quoted value of a CSV file may hold line breaks; then one core reads a file.

    Raises:
        ValueError: if a suffix is unknown, a Parquet file is broken, or a file lacks a column.
    """
    layouts: dict[tuple, list[str]] = defaultdict(list)
    for path in paths:
        kind = _format(path, wanted_by)
        if kind == "json":
            layouts["json", ()].append(path)
        elif kind == "parquet":
            layouts["parquet", tuple(parquet(spark, path).schema)].append(path)
        elif header := _header(spark, path, _separator(path, separator)):
            layouts["csv", (_separator(path, separator), *header)].append(path)
    made = []
    for (kind, layout), group in layouts.items():
        if kind == "json":
            have = _fields(spark, group)
        else:
            have = [field.name for field in layout] if kind == "parquet" else list(layout[1:])
        if have:
            _check_columns(columns, have, optional, group[0], wanted_by)
        if kind == "json":
            made.append(_json(spark, group, columns))
        elif kind == "csv":
            made.append(_csv(spark, group, columns, list(layout[1:]), layout[0], multiline))
        else:
            made.append(_parquet(spark, group, columns, have))
    return made or [_nothing(spark, columns)]


def parquet(spark: SparkSession, *paths: str) -> DataFrame:
    """Parquet files of one schema.

    Raises:
        ValueError: if one is missing or its footer is broken.
    """
    try:
        return spark.read.parquet(*paths)
    except (PySparkException, Py4JJavaError) as error:
        problem = str(error).splitlines()[0]
        raise ValueError(
            f"{', '.join(paths)}: not a readable Parquet file: copy it again. Spark says: {problem}"
        ) from error


def named(column: str) -> Column:
    """The column called exactly that, dots and all."""
    return F.col(f"`{column.replace('`', '``')}`")


def _format(path: str, wanted_by: str) -> str:
    suffix = re.sub(r"\.gz$", "", path.lower()).rsplit(".", 1)[-1]
    if suffix not in FORMATS:
        raise ValueError(f"{wanted_by}: {path} is none of {', '.join(FORMATS)}; leave it out of the pattern")
    return FORMATS[suffix]


def _separator(path: str, separator: str) -> str:
    return "\t" if re.search(r"\.tsv(\.gz)?$", path.lower()) else separator


def _header(spark: SparkSession, path: str, separator: str) -> list[str]:
    """The column names in a CSV file's first line; none in an empty file. One without a name is ``_c<position>``."""
    lines = spark.read.text(path).head(1)
    if not lines:
        return []
    names = next(csv.reader([lines[0]["value"].removeprefix("\ufeff")], delimiter=separator), [])
    return [name.strip() or f"_c{position}" for position, name in enumerate(names)]


def _fields(spark: SparkSession, paths: list[str]) -> list[str]:
    """The fields that the first lines of JSON files have; none in empty files."""
    keys = F.explode(F.expr("json_object_keys(value)"))
    return sorted(row[0] for row in spark.read.text(paths).limit(SAMPLE).select(keys).distinct().collect())


def _check_columns(columns: Sequence[str], have: list[str], optional: Sequence[str], path: str, wanted_by: str) -> None:
    missing = [name for name in columns if name not in have and name not in optional]
    if missing:
        raise ValueError(f"{wanted_by}: {path} has no column {', '.join(missing)}; it has: {', '.join(have)}")


def _csv(
    spark: SparkSession, paths: list[str], columns: Sequence[str], have: list[str], separator: str, multiline: bool
) -> DataFrame:
    """Columns are read by position, so that names in odd cases, with dots or twice do no harm."""
    places = [f"_{position}" for position in range(len(have))]
    rows = spark.read.csv(
        paths,
        schema=", ".join(f"{place} string" for place in [*places, BROKEN]),
        header=True,
        sep=separator,
        quote='"',
        escape='"',
        multiLine=multiline,
        columnNameOfCorruptRecord=BROKEN,
    )
    whole = F.struct(*(F.col(place).alias(name) for place, name in zip(places, have, strict=True)), BROKEN)
    return rows.select(
        *(F.col(places[have.index(name)]).alias(name) if name in have else _absent(name) for name in columns),
        F.col("_metadata.file_path").alias("_file"),
        whole.alias("_row"),
        *_unreadable(F.col(BROKEN).isNotNull(), f"the line doesn't have the {len(have)} columns of the header"),
    )


def _json(spark: SparkSession, paths: list[str], columns: Sequence[str]) -> DataFrame:
    """Values are read as text, exactly as written; Python's quotes and escapes, which some public files have, too."""
    schema = ", ".join(f"`{name.replace('`', '``')}` string" for name in [*columns, BROKEN])
    options = {
        "columnNameOfCorruptRecord": BROKEN,
        "allowUnquotedControlChars": "true",
        "allowBackslashEscapingAnyCharacter": "true",
    }
    lines = spark.read.text(paths).select("value", F.col("_metadata.file_path").alias("_file"))
    text = F.regexp_replace("value", PYTHON_ESCAPE, r"$1\\u00$2")
    rows = lines.where(F.trim("value") != "").withColumn("_object", F.from_json(text, schema, options))
    broken = F.col(f"_object.{BROKEN}").isNotNull()
    whole = F.when(broken, F.to_json(F.struct(F.col("value").alias(BROKEN)))).otherwise(F.col("value"))
    return rows.select(
        *(F.col("_object").getField(name).alias(name) for name in columns),
        "_file",
        whole.alias("_row"),
        *_unreadable(broken, "the line is not one JSON object"),
    )


def _parquet(spark: SparkSession, paths: list[str], columns: Sequence[str], have: list[str]) -> DataFrame:
    given = [name for name in columns if name in have]
    return parquet(spark, *paths).select(
        *(named(name) if name in have else _absent(name) for name in columns),
        F.col("_metadata.file_path").alias("_file"),
        F.struct(*(named(name) for name in given)).alias("_row"),
        *_unreadable(F.lit(False), ""),
    )


def _nothing(spark: SparkSession, columns: Sequence[str]) -> DataFrame:
    """What empty files hold."""
    names = [*columns, "_file", "_row", "_rule", "_reason"]
    return spark.range(0).select(*(_absent(name) for name in names))


def _absent(name: str) -> Column:
    return F.lit(None).cast("string").alias(name)


def _unreadable(broken: Column, reason: str) -> tuple[Column, Column]:
    return F.when(broken, "readable_row").alias("_rule"), F.when(broken, reason).alias("_reason")
