"""Amazon reviews: the public JSON-lines files of 2014, 2018 and 2023, or a file of sequences as S3-Rec has them.

``data`` is a folder with review files and their ``meta_*`` files (``.json``, ``.jsonl``, also with ``.gz``), of one
year's format; or one ``.txt`` file of sequences, see :mod:`jobs.sources.amazon_sequences`.

A review is an event of type ``review`` and a row of raw.reviews. The files have no purchases and no views.
"""

from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

import schemas
from jobs.sources import amazon_sequences as sequences
from jobs.sources import files, times
from jobs.sources.typed import typed, union

REVIEWS = ("reviewerID", "asin", "overall", "summary", "reviewText", "unixReviewTime")  # 2014 and 2018
REVIEWS_2023 = ("user_id", "parent_asin", "rating", "title", "text", "timestamp")
ITEMS = ("asin", "title", "description", "brand", "price", "categories", "category")  # categories 2014, category 2018
ITEMS_2023 = ("parent_asin", "store", "main_category")
PRICE = r"^\s*\$?\s*([0-9][0-9,]*(?:\.[0-9]+)?)\s*$"  # a range ("$5 - $9") or a piece of a web page is no price


def events(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """One event of type ``review`` a review.

    Raises:
        ValueError: if ``day`` is outside the data, or a file or column is missing.
    """
    if sequences.is_one(data):
        rows = sequences.events(spark, data)
    else:
        rows = _typed(spark, data, "raw.events", _who_and_when(F.lit("review").alias("event_type")))
    times.check_inside(rows, day, data)
    return times.arrived(rows, after, day)


def reviews(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """Reviews with rating, headline and text; none of sequences, which have neither."""
    contract = schemas.table("raw.reviews")
    if sequences.is_one(data):
        return spark.createDataFrame([], contract.ddl)
    told = (
        F.coalesce("overall", "rating").alias("rating"),
        F.coalesce("summary", "title").alias("title"),
        F.coalesce("reviewText", "text").alias("text"),
    )
    return times.arrived(_typed(spark, data, contract.name, _who_and_when(*told)), after, day)


def items(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame:
    """Products of the ``meta_*`` files, as of the one day the files were made; ``price`` where it is one figure."""
    if sequences.is_one(data):
        return sequences.items(spark, data)
    columns = (*ITEMS, *ITEMS_2023)
    frames = files.frames(spark, _paths(spark, data, meta=True), columns, data, optional=columns)
    main = F.when(F.col("main_category") != "", F.array("main_category"))
    path = F.coalesce(_words("category"), _words("categories"), main)
    rows = union(frames).select(
        F.coalesce("parent_asin", "asin").alias("item_id"),
        "title",
        F.coalesce(F.concat_ws(" ", _words("description")), "description").alias("description"),
        F.coalesce("brand", "store").alias("brand"),
        F.filter(path, lambda part: part != "").alias("category_path"),
        F.regexp_replace(F.regexp_extract("price", PRICE, 1), ",", "").alias("price"),
        "_row",
        "_rule",
        "_reason",
    )
    return typed(rows, schemas.table("raw.items"))


def _typed(spark: SparkSession, data: str, table: str, columns: list[Column]) -> DataFrame:
    wanted = (*REVIEWS, *REVIEWS_2023)
    frames = files.frames(spark, _paths(spark, data, meta=False), wanted, data, optional=wanted)
    rows = union(frames).select(*columns, "_row", "_rule", "_reason")
    unreadable = F.col("ts").isNull() & F.col("_rule").isNull()
    return typed(
        rows.withColumn("day", F.to_date("ts"))
        .withColumn(
            "_reason", F.when(unreadable, "ts: no readable unixReviewTime or timestamp").otherwise(F.col("_reason"))
        )
        .withColumn("_rule", F.when(unreadable, "readable_ts").otherwise(F.col("_rule"))),
        schemas.table(table),
    )


def _who_and_when(*more: Column) -> list[Column]:
    """Reviews of 2014 and 2018 count seconds, those of 2023 milliseconds."""
    return [
        times.instant(F.coalesce("unixReviewTime", "timestamp"), "string").alias("ts"),
        F.coalesce("reviewerID", "user_id").alias("user_id"),
        F.coalesce("parent_asin", "asin").alias("item_id"),
        *more,
    ]


def _words(name: str) -> Column:
    """A JSON list of texts, or the first of a list of such lists; null for anything else and for an empty list."""
    text = F.trim(F.col(name))
    nested = F.from_json(F.when(text.startswith("[["), text), "array<array<string>>")
    flat = F.from_json(F.when(text.startswith("[") & ~text.startswith("[["), text), "array<string>")
    words = F.coalesce(F.get(nested, 0), flat)
    return F.when(F.size(words) > 0, words)


def _paths(spark: SparkSession, data: str, meta: bool) -> list[str]:
    paths = files.found(spark, data, "*.json*", "Amazon reviews")
    chosen = [path for path in paths if path.rsplit("/", 1)[-1].startswith("meta_") == meta]
    if not chosen:
        raise ValueError(f"{data} has no {'meta_*' if meta else 'review'} file in JSON lines")
    return chosen
