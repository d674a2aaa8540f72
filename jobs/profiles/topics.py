"""Topics of each user: how much of what they bought and wrote belongs to each."""

from collections.abc import Callable, Iterator
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

import schemas
from jobs.catalogue.documents import documents
from jobs.reads import on, upto

READS = {
    "topics": on("catalogue.topics"),
    "histories": on("behaviour.histories"),
    "items": on("catalogue.items"),
    "reviews": upto("raw.reviews", optional=True),
}
TABLE = schemas.table("profiles.topics")

PRIOR = 0.1  # terms that each topic is credited with
STEPS = 50  # of expectation maximisation
FOUND = "user_id string, topic_id int, shares map<int,double>"


def topics(
    topics: DataFrame, histories: DataFrame, items: DataFrame, reviews: DataFrame | None, *, day: date
) -> DataFrame:
    """One row a user who said a term of any topic.

    Args:
        topics: catalogue.topics of the night.
        histories: behaviour.histories of the night.
        items: catalogue.items of the night.
        reviews: raw.reviews up to the night; None where the shop has none.
        day: the night.
    """
    told = sorted(topics.select("topic_id", "topic", "terms").collect())
    if not told:
        return histories.sparkSession.createDataFrame([], TABLE.ddl)
    said = documents(histories, items, reviews)
    known = F.broadcast(topics.select(F.explode(F.map_keys("terms")).alias("term")).distinct())
    whole = said.join(known, on="term", how="left_semi").groupBy("user_id")
    users = whole.agg(F.sort_array(F.collect_list(F.struct("term", "times"))).alias("said"))
    placed = users.mapInArrow(_placer([row["topic_id"] for row in told], [row["terms"] for row in told]), FOUND)
    named = placed.join(F.broadcast(topics.select("topic_id", "topic")), on="topic_id", how="inner")
    return named.select(F.lit(day).alias("day"), "user_id", "topic_id", "topic", "shares")


def shared(times: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """float64[topics]: the likeliest mixture of topics, float64[topics, N] terms, for terms said so often, float64[N].

    Folding in (Hofmann 1999), with PRIOR added to each topic at every step.
    """
    shares = np.full(len(terms), 1 / len(terms))
    for _ in range(STEPS):
        owned = shares[:, None] * terms
        shares = PRIOR + (owned / owned.sum(0)) @ times
        shares /= shares.sum()
    return shares


def _placer(ids: list[int], terms: list[dict[str, float]]) -> Callable:
    """A function for ``mapInArrow``: user_id and what was said to FOUND."""
    place = {term: number for number, term in enumerate(sorted(set().union(*terms)))}
    matrix = np.full((len(ids), len(place)), 1e-9)  # what a topic doesn't list is hardly ever said in it
    for row, told in enumerate(terms):
        matrix[row, [place[term] for term in told]] = list(told.values())

    def placed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            found = []
            for said in batch["said"].to_pylist():
                times = np.array([each["times"] for each in said], dtype=float)
                found.append(np.round(shared(times, matrix[:, [place[each["term"]] for each in said]]), 6))
            largest = [ids[int(each.argmax())] for each in found]
            shares = pa.array(
                [list(zip(ids, each.tolist(), strict=True)) for each in found], pa.map_(pa.int32(), pa.float64())
            )
            yield pa.RecordBatch.from_arrays(
                [batch["user_id"], pa.array(largest, pa.int32()), shares], ["user_id", "topic_id", "shares"]
            )

    return placed
