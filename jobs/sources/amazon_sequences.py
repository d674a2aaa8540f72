"""Amazon reviews as the papers on sequences use them: one user a line, ``user item item …``, in order of time.

That is the format of S3-Rec's ``Beauty.txt``. It has no times. Beside it must lie ``Beauty_gaps.txt.gz``: the same
lines, a tab, and each event's distance in seconds from the one before. Only order and gaps are real. Each user's last
event is put on 2014-07-23, the last day that the reviews were collected, and the events of a day are a second apart, so
that the file keeps its order; no time of day and no date says anything about the world.

Items have the file's own numbers as ids. Texts come from ``Beauty_titles.csv`` (titles) or ``…_keywords.csv`` (key
words, as description), where one of them lies beside; there are no prices, brands or categories in words.
"""

from datetime import date

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

import schemas
from jobs.sources import files
from jobs.sources.typed import typed

LAST = date(2014, 7, 23)
TEXTS = {"_titles.csv": ("title", "title"), "_keywords.csv": ("keywords", "description")}  # their column, ours


def is_one(data: str) -> bool:
    """Whether ``data`` is a file of sequences."""
    return data.endswith(".txt")


def events(spark: SparkSession, data: str) -> DataFrame:
    """One event of type ``review`` an item of a sequence; a line that doesn't match its gaps is rejected whole.

    Raises:
        ValueError: if the file, or the one with its gaps, is missing.
    """
    parts = F.split("value", "\t")
    gaps = _text(spark, f"{_stem(data)}_gaps.txt.gz").select(
        F.get(parts, 0).alias("line"), F.split(F.get(parts, 1), " ").cast("array<string>").alias("gaps")
    )
    lines = _lines(spark, data).join(gaps.dropDuplicates(["line"]), on="line", how="left")
    lines = lines.withColumn("gaps", F.transform("gaps", lambda gap: gap.try_cast("bigint")))
    fits = (F.size("items") == F.size("gaps")) & F.forall("gaps", lambda gap: gap >= 0)
    lines = lines.withColumn("fits", F.coalesce(fits, F.lit(False)))
    bad = lines.where("NOT fits").select(
        F.to_json(F.struct("line")).alias("_row"),
        F.lit("readable_row").alias("_rule"),
        F.lit("the line needs a gap of 0 or more seconds for each of its items").alias("_reason"),
    )
    good = _placed(lines.where("fits"))
    return typed(good.unionByName(bad, allowMissingColumns=True), schemas.table("raw.events"))


def items(spark: SparkSession, data: str) -> DataFrame:
    """Every item of the sequences, with what a file beside says of it."""
    seen = _lines(spark, data).select(F.explode("items").alias("item_id")).distinct()
    folder, name = _stem(data).rsplit("/", 1)
    for path in files.found(spark, folder, f"{name}*", data):
        for suffix, (theirs, ours) in TEXTS.items():
            if path.endswith(f"/{name}{suffix}"):
                (told,) = files.frames(spark, [path], ["s3_id", theirs], data)
                texts = told.select(F.col("s3_id").alias("item_id"), F.col(theirs).alias(ours))
                seen = seen.join(texts.dropDuplicates(["item_id"]), on="item_id", how="left")
    return seen


def _placed(lines: DataFrame) -> DataFrame:
    """Lines as events, each user's last one on the day ``LAST``."""
    steps = lines.select("line", "user_id", F.posexplode(F.arrays_zip("items", "gaps")).alias("position", "step"))
    user = Window.partitionBy("line").orderBy("position")
    so_far = user.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    whole = user.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    steps = steps.withColumn("passed", F.sum("step.gaps").over(so_far)).withColumn(
        "length", F.sum("step.gaps").over(whole)
    )
    at_once = Window.partitionBy("line", "passed").orderBy("position")
    second = F.unix_timestamp(F.lit(LAST).cast("timestamp")) + F.col("passed") - F.col("length")
    ts = F.timestamp_seconds(second + F.row_number().over(at_once) - 1)
    return steps.select(
        F.to_date(ts).alias("day"),
        F.concat_ws("-", "user_id", "position").alias("event_id"),
        F.lit("review").alias("event_type"),
        ts.alias("ts"),
        "user_id",
        F.col("step.items").alias("item_id"),
    )


def _lines(spark: SparkSession, data: str) -> DataFrame:
    words = F.split("value", " ")
    return _text(spark, data).select(
        F.col("value").alias("line"), F.get(words, 0).alias("user_id"), F.slice(words, 2, 1_000_000).alias("items")
    )


def _text(spark: SparkSession, path: str) -> DataFrame:
    try:
        return spark.read.text(path)
    except PySparkException as error:
        raise ValueError(f"no file {path}: sequences need both NAME.txt and NAME_gaps.txt.gz") from error


def _stem(data: str) -> str:
    return data.removesuffix(".txt")
