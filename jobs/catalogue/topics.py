"""Topics: what is bought and written about by the same people, named by the terms that mark it."""

import logging
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.ml.clustering import LDA
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from scipy.optimize import linear_sum_assignment

import schemas
from jobs.catalogue.documents import documents
from jobs.newest import newest
from jobs.reads import before, on, upto

log = logging.getLogger(__name__)

LOOKED_BACK = 7  # nights, of which the latest that was made is what topics are known by
READS = {
    "histories": on("behaviour.histories"),
    "items": on("catalogue.items"),
    "reviews": upto("raw.reviews", optional=True),
    "last": before("catalogue.topics", nights=LOOKED_BACK, optional=True),
}
TABLE = schemas.table("catalogue.topics")

SAMPLE = 2000  # users that topics are found in: what that costs doesn't grow with the shop
FEWEST = 50  # users with a document; fewer have no topics
TOPICS = 10
SHARED = 5  # users who must have said a term: a name that one person writes is nobody's topic
VOCABULARY = 2000  # terms, those of most users
# steps of online variational Bayes (Hoffman, Blei and Bach 2010), each on this share of the documents; with Spark's own
# offset of 1024, which is for streams of millions, they would hardly move
SEED, STEPS, BATCH, OFFSET = 1, 20, 0.5, 10.0
KEPT = 100  # terms of a topic
NAMED, STILL_NAMED = 3, 6  # terms that make its name, and among how many they must stay for it to keep the name
SAME = 0.6  # cosine to last night's topic from which it is the same


@dataclass(frozen=True)
class Known:
    """Last night's topics: ``ids``, names and terms; and the largest id of late, which no new topic gets."""

    ids: list[int]
    names: list[str]
    terms: list[dict[str, float]]
    largest: int


def topics(
    histories: DataFrame, items: DataFrame, reviews: DataFrame | None, last: DataFrame | None, *, day: date
) -> DataFrame:
    """One row a topic: latent Dirichlet allocation (Blei, Ng and Jordan 2003) of a sample of users' documents.

    Args:
        histories: behaviour.histories of the night.
        items: catalogue.items of the night.
        reviews: raw.reviews up to the night; None where the shop has none.
        last: catalogue.topics of the nights before; None where there is no such table yet.
        day: the night.
    """
    sample = histories.orderBy(F.xxhash64("user_id"), "user_id").limit(SAMPLE)
    said = documents(sample, items, reviews).toArrow().sort_by([("user_id", "ascending"), ("term", "ascending")])
    spark = histories.sparkSession
    vocabulary, rows = counted(said)
    if len(rows) < FEWEST or len(vocabulary) <= TOPICS:
        log.warning("%s: %d users with %d terms that others share: no topics", TABLE.name, len(rows), len(vocabulary))
        return spark.createDataFrame([], TABLE.ddl)
    found, shares = _found(spark, vocabulary, rows)
    ids, names, moved = recognised(found, _known(last))
    told = pa.table(
        {
            "topic_id": pa.array(ids, pa.int32()),
            "topic": names,
            "terms": pa.array([list(each.items()) for each in found], pa.map_(pa.string(), pa.float64())),
            "share": shares,
            "moved": pa.array(moved, pa.float64()),
        }
    )
    return spark.createDataFrame(told).select(F.lit(day).alias("day"), *told.column_names)


def counted(said: pa.Table) -> tuple[list[str], list[dict[int, int]]]:
    """The vocabulary in order of the alphabet, and of each user who said any of it, place -> times."""
    names, terms, times = (said[name].to_pylist() for name in ("user_id", "term", "times"))
    known, users = np.unique(terms, return_counts=True) if terms else (np.array([], str), np.array([], int))
    often = np.lexsort((known, -users))[:VOCABULARY]
    vocabulary = sorted(known[place] for place in often if users[place] >= SHARED)
    place = {str(term): number for number, term in enumerate(vocabulary)}
    rows: dict[str, dict[int, int]] = {}
    for name, term, count in zip(names, terms, times, strict=True):
        if term in place:
            rows.setdefault(name, {})[place[term]] = count
    return list(place), list(rows.values())


def _found(
    spark: SparkSession, vocabulary: list[str], rows: list[dict[int, int]]
) -> tuple[list[dict[str, float]], list[float]]:
    """Of each topic its terms, the likeliest first, and its share in all documents; the largest topic first."""
    vectors = [(Vectors.sparse(len(vocabulary), row),) for row in rows]
    # one partition: sums of doubles over several would depend on which ends first
    table = spark.createDataFrame(vectors, ["features"]).coalesce(1).localCheckpoint()
    settings = {"optimizer": "online", "maxIter": STEPS, "subsamplingRate": BATCH, "learningOffset": OFFSET}
    model = LDA(k=TOPICS, seed=SEED, **settings).fit(table)
    matrix = model.topicsMatrix().toArray()
    told = np.array([row[0].toArray() for row in model.transform(table).select("topicDistribution").collect()])
    lengths = np.array([sum(row.values()) for row in rows], dtype=float)
    shares = lengths @ told / lengths.sum()
    found = []
    for topic in (matrix / matrix.sum(0)).T:
        best = np.argsort(-topic, kind="stable")[:KEPT]
        found.append({vocabulary[place]: float(topic[place]) for place in best})
    order = np.argsort(-shares, kind="stable")
    return [found[place] for place in order], [float(shares[place]) for place in order]


def _known(last: DataFrame | None) -> Known | None:
    rows = [] if last is None else sorted(newest(last).select("topic_id", "topic", "terms").collect())
    if not rows:
        return None
    return Known(*map(list, zip(*rows, strict=True)), last.agg(F.max("topic_id")).first()[0])


def recognised(found: list[dict[str, float]], known: Known | None) -> tuple[list[int], list[str], list[float | None]]:
    """Of each topic its id, name, and 1 - cosine to what it was last night, None of a new one.

    Topics keep the ids of last night's that they are most alike in all (Hungarian assignment) and, while its terms are
    among the likeliest, the name. New ids follow the largest of late.
    """
    ids, names, moved = [0] * len(found), [""] * len(found), [None] * len(found)
    if known is not None:
        alike = np.array([[_cosine(mine, theirs) for theirs in known.terms] for mine in found])
        for mine, theirs in zip(*linear_sum_assignment(-alike), strict=True):
            if alike[mine, theirs] >= SAME:
                ids[mine], moved[mine] = known.ids[theirs], max(0.0, 1 - float(alike[mine, theirs]))
                still = set(known.names[theirs].split(", ")) <= set(list(found[mine])[:STILL_NAMED])
                names[mine] = known.names[theirs] if still else ""
    next_id = 1 + (known.largest if known is not None else 0)
    for place, id_ in enumerate(ids):
        if not id_:
            ids[place], next_id = next_id, next_id + 1
    for place in np.argsort(ids):
        names[place] = names[place] or _name(found[place], set(names))
    return ids, names, moved


def _cosine(mine: dict[str, float], theirs: dict[str, float]) -> float:
    product = sum(share * theirs.get(term, 0.0) for term, share in mine.items())
    lengths = [np.sqrt(sum(share**2 for share in each.values())) for each in (mine, theirs)]
    return float(product / (lengths[0] * lengths[1]))


def _name(terms: dict[str, float], taken: set[str]) -> str:
    """The likeliest terms, as many more as it takes to be no other's name, and then a number."""
    likely = list(terms)
    names = [", ".join(likely[:count]) for count in range(min(NAMED, len(likely)), len(likely) + 1)]
    names += [f"{names[0]} {number}" for number in range(2, len(taken) + 3)]
    return next(name for name in names if name not in taken)
