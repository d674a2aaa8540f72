"""Reviews: what people wrote of items, and whether they meant well."""

from collections.abc import Callable, Iterator
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.behaviour.consent import willing
from jobs.behaviour.pseudonym import pseudonym_key, pseudonymised
from jobs.catalogue.opinions import opinions
from jobs.catalogue.terms import language, words
from jobs.lists.blocks import parts, spread
from jobs.model import Model
from jobs.reads import new, on, sentiment
from schemas.catalogue import SENTIMENTS, review_text

READS = {
    "reviews": new("raw.reviews", optional=True),
    "wishes": on("raw.preferences", optional=True),
    "model": sentiment(),
}

READ = "day date, review_id string, text string, sentiment double, confidence double, tone string"
NAMES = [column.split()[0] for column in READ.split(", ")]
AT_ONCE = 1024  # reviews whose texts are in memory together
DIGITS = 4  # of what a model says: the next ones depend on which texts it read together


def reviews(reviews: DataFrame | None, wishes: DataFrame | None, model: Model | None, *, day: date) -> DataFrame | None:
    """One row a review that came since the table was last written, under the night that it came.

    Sentiment is what the model says of the words; without words, or without a model, what the stars say. Nothing is
    read out of the words and stars of who wants no profile.

    Args:
        reviews: raw.reviews since then; None where the shop has none.
        wishes: raw.preferences of the night; None where the shop has none.
        model: the night's sentiment model; None where there is none.
        day: the night.
    """
    if reviews is None:
        return None
    written = spread(willing(reviews, wishes).select("day", "review_id", "title", "text"), "review_id")
    ordered = written.sortWithinPartitions(F.length("text"), "review_id")
    read = ordered.mapInArrow(_reader(model.path if model else None), READ)
    told = pseudonymised(reviews.select("day", "review_id", "user_id", "item_id", "ts", "rating"), pseudonym_key())
    # a key may come twice until the gate has seen it: joined by it, two would become four
    key = ["day", "review_id"]  # an edited one comes again, in another night
    both = told.join(read.dropDuplicates(key), on=key, how="left")
    by_model = F.col("sentiment").isNotNull()
    by_stars = ~by_model & F.col("rating").isNotNull() & F.col("text").isNotNull()  # of those who agreed
    stars = F.when(F.col("rating") < 2.5, SENTIMENTS[0]).when(F.col("rating") > 3.5, SENTIMENTS[2])
    return both.select(
        "day",
        "review_id",
        "user_id",
        "item_id",
        F.to_date("ts").alias("written"),
        "rating",
        F.when(F.col("text") != "", language(F.col("text"), words(F.col("text")))).alias("language"),
        F.when(by_stars, (F.col("rating") - 3) / 2).otherwise(F.col("sentiment")).alias("sentiment"),
        "confidence",
        F.when(by_stars, stars.otherwise(SENTIMENTS[1])).otherwise(F.col("tone")).alias("tone"),
        F.when(by_model, "model").when(by_stars, "rating").alias("source"),
        F.when(by_model, F.lit(model.version if model else None)).cast("string").alias("model_version"),
    )


def _reader(folder: str | None) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for ``mapInArrow``: day, review_id, title and text to READ."""

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in parts(batches, AT_ONCE):
            titles, bodies = (batch[name].to_pylist() for name in ("title", "text"))
            texts = list(map(review_text, titles, bodies))
            found = _told(folder, texts)
            yield pa.RecordBatch.from_arrays(
                [batch["day"], batch["review_id"], pa.array(texts, pa.string()), *found], NAMES
            )

    return read


def _told(folder: str | None, texts: list[str]) -> list[pa.Array]:
    """Sentiment, confidence and tone of each text; null of an empty one, and without a model."""
    worded = np.array([bool(text) for text in texts], bool) & (folder is not None)
    sentiment, confidence = np.full(len(texts), np.nan), np.full(len(texts), np.nan)
    tone = np.full(len(texts), None, object)
    if worded.any():
        sure, classes = opinions(folder).score([text for text, wanted in zip(texts, worded, strict=True) if wanted])
        sentiment[worded] = np.round(sure[:, 2].astype(np.float64) - sure[:, 0], DIGITS)
        confidence[worded] = np.round(sure.max(1).astype(np.float64), DIGITS)
        tone[worded] = [SENTIMENTS[place] for place in classes]
    return [
        pa.array(sentiment, pa.float64(), from_pandas=True),
        pa.array(confidence, pa.float64(), from_pandas=True),
        pa.array(tone.tolist(), pa.string()),
    ]
