"""Demographics: age, income and what else the shop knows of some people; of the others, what their purchases say."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

import schemas
from jobs.behaviour.consent import unprofiled
from jobs.profiles.classifier import Classifier, fit
from jobs.reads import on
from schemas.profiles import PARTS_OF_DAY, RECENT, WEEKDAYS

log = logging.getLogger(__name__)

READS = {"users": on("profiles.users"), "preferences": on("profiles.preferences")}
TABLE = schemas.table("profiles.demographics")

SAMPLE = 10_000  # people that classifiers are fitted to: what that costs doesn't grow with the shop
ATTRIBUTES = 10  # of which most people are known
KINDS = 40  # categories that tell people apart: the largest
NUMBERS = (
    *("purchases", "baskets", "value", "frequency", "price_level", "discount_share", "discount_elasticity"),
    *("price_elasticity", "variety", "cadence_days"),
)
SHARES = {"parts_of_day": PARTS_OF_DAY, "weekdays": WEEKDAYS}
TOLD = [column for column in TABLE.columns if column.name != "day"]


def demographics(users: DataFrame, preferences: DataFrame, *, day: date) -> DataFrame:
    """One row a user and attribute, of who bought something or is known; nobody who wants no profile.

    Classifiers are fitted to SAMPLE people with the smallest hashes of their ids, and their accuracy is that of people
    left out. Where it isn't ahead of telling all the most frequent value, nothing is predicted.

    Args:
        users: profiles.users of the night.
        preferences: profiles.preferences of the night.
        day: the night.
    """
    people = users.join(unprofiled(preferences), "user_id", how="left_anti").select(
        "user_id", "attributes", "categories", *NUMBERS, *SHARES
    )
    known = people.where("size(attributes) > 0 AND purchases > 0")
    sample = known.orderBy(F.xxhash64("user_id"), "user_id").limit(SAMPLE).toArrow().combine_chunks()
    given = [dict(each) for each in sample["attributes"].to_pylist()]
    names = _names(people)
    if not names:
        return users.sparkSession.createDataFrame([], TABLE.ddl)
    kinds = _largest(sample["categories"])
    rows, ids = features(sample, kinds), sample["user_id"].to_pylist()
    found = {}
    for name in names:
        who = [place for place, each in enumerate(given) if name in each]
        count = len(who)
        classifier = fit(users.sparkSession, [ids[n] for n in who], rows[who], [given[n][name] for n in who])
        log.info("profiles.demographics: %s", _said(name, count, classifier))
        found[name] = (count, classifier)
    ddl = ", ".join(f"{column.name} {column.type}" for column in TOLD)
    return people.mapInArrow(_teller(found, kinds), ddl).withColumn("day", F.lit(day))


def _names(people: DataFrame) -> list[str]:
    """The attributes of which most people are known, also of some who bought nothing."""
    told = people.select(F.explode(F.map_keys("attributes")).alias("name")).groupBy("name").count()
    names = [row["name"] for row in told.orderBy(F.desc("count"), "name").collect()]
    if names[ATTRIBUTES:]:
        log.warning("%s: only of %d attributes, not of %s", TABLE.name, ATTRIBUTES, ", ".join(names[ATTRIBUTES:]))
    return names[:ATTRIBUTES]


def features(people: pa.Table | pa.RecordBatch, kinds: list[str]) -> np.ndarray:
    """float64[n, d], NaN for unknown: what people buy, how much at a time, for how much, and when.

    Of NUMBERS the logarithms (of elasticities the values), lines and money of a basket, shares of the day's parts and
    of weekdays, and of the categories ``kinds``.
    """
    number = {name: _array(people[name]).to_numpy(zero_copy_only=False).astype(np.float64) for name in NUMBERS}
    with np.errstate(divide="ignore", invalid="ignore"):
        a_basket = number["purchases"] / number["baskets"]
        spent = number["value"] / (number["frequency"] * RECENT / 7)
    columns = [number[name] if name.endswith("elasticity") else np.log1p(number[name]) for name in NUMBERS]
    columns += [np.log1p(np.where(np.isfinite(each), each, np.nan)) for each in (a_basket, spent)]
    parts = [_shares(people[name], list(names)) for name, names in SHARES.items()]
    return np.hstack([np.stack(columns, axis=1), *parts, _shares(people["categories"], kinds)])


def _shares(column: pa.ChunkedArray | pa.Array, names: list[str]) -> np.ndarray:
    """float64[n, names] of maps; 0 for a name that isn't there."""
    maps = _array(column)
    offsets = maps.offsets.to_numpy()
    inside = slice(offsets[0], offsets[-1])
    place = pc.index_in(maps.keys, pa.array(names, pa.string())).to_numpy(zero_copy_only=False)[inside]
    shares = maps.items.to_numpy(zero_copy_only=False)[inside]
    owner = np.repeat(np.arange(len(maps)), np.diff(offsets))
    found = np.zeros((len(maps), len(names)))
    told = ~np.isnan(place.astype(np.float64))
    found[owner[told], place[told].astype(np.int64)] = shares[told]
    return found


def _largest(categories: pa.ChunkedArray) -> list[str]:
    """The KINDS names with the largest shares over all people, by name."""
    total: Counter = Counter()
    for each in categories.to_pylist():
        total.update(dict(each))
    order = sorted(total, key=lambda name: (-round(total[name], 9), name))
    return sorted(order[:KINDS])


def _array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """As one array; of a table that holds nothing too."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _teller(found: dict[str, tuple[int, Classifier | None]], kinds: list[str]) -> Callable:
    """A function for ``mapInArrow``: people to TOLD, a row for each attribute."""
    schema = to_arrow_schema(StructType.fromDDL(", ".join(f"{column.name} {column.type}" for column in TOLD)))

    def tell(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if not batch.num_rows:
                continue
            rows, bought = features(batch, kinds), batch["purchases"].to_numpy(zero_copy_only=False) > 0
            given = [dict(each) for each in batch["attributes"].to_pylist()]
            told = []
            for name, (count, classifier) in found.items():
                judged = classifier is not None
                figures = (classifier.accuracy, classifier.most_frequent) if judged else (None, None)
                guesses = _guesses(classifier, rows)
                for user, mine, guess, buys in zip(batch["user_id"].to_pylist(), given, guesses, bought, strict=True):
                    if name in mine or buys:
                        value = (mine[name], "known", None) if name in mine else guess
                        told.append((user, name, *value, *figures, count))
            columns = zip(*told, strict=True) if told else [[]] * len(schema)
            arrays = [pa.array(list(each), field.type) for each, field in zip(columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return tell


def _guesses(classifier: Classifier | None, rows: np.ndarray) -> list[tuple]:
    """Value, source and probability of each person's likeliest value; None where nobody can tell."""
    if classifier is None or classifier.learned is None:
        return [(None, None, None)] * len(rows)
    likely = classifier.probabilities(rows)
    best = likely.argmax(1)
    return [(classifier.values[place], "predicted", float(row[place])) for place, row in zip(best, likely, strict=True)]


def _said(name: str, count: int, classifier: Classifier | None) -> str:
    if classifier is None:
        return f"{name} is known of {count} people, too few to tell it of others"
    told = "predicted" if classifier.learned else "not predicted"
    return (
        f"{name}, known of {count} people, is {told}: accuracy {classifier.accuracy:.3f}, "
        f"of the most frequent value {classifier.most_frequent:.3f}"
    )
