"""Customers: how recently, how often and for how much they bought, and what to expect of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

import schemas
from jobs.profiles import churn, outlook
from jobs.profiles.habits import Rhythm, loyalty
from jobs.profiles.outlook import Outlook
from jobs.profiles.visits import Visits, number, summary, visits
from jobs.reads import on

READS = {"totals": on("profiles.totals")}

SAMPLE = 10_000  # customers that the models are fitted to: what that costs doesn't grow with the shop
TOLD = [column for column in schemas.table("profiles.customers").columns if column.name != "day"]
LATEST = number(date(9999, 12, 31))


def customers(totals: DataFrame, *, day: date) -> DataFrame:
    """One row a user with a purchase up to the night; what the data can't support is null, and the run's log says so.

    Models are fitted to SAMPLE customers, those whose ids have the smallest hashes, and applied to all. Who wants no
    profile has no row.

    Args:
        totals: profiles.totals of the night.
        day: the night.
    """
    seen = visits(totals, day)
    sample = seen.orderBy(F.xxhash64("user_id"), "user_id").limit(SAMPLE).toArrow()
    models = _Models.of(Visits.of(sample), totals.sparkSession, number(day))
    told = ", ".join(f"{column.name} {column.type}" for column in TOLD)
    return seen.mapInArrow(_teller(models, number(day)), told).withColumn("day", F.lit(day))


@dataclass(frozen=True)
class _Models:
    outlook: Outlook | None
    churn: churn.Churn | None
    rhythm: Rhythm | None

    @classmethod
    def of(cls, sample: Visits, spark, night: int) -> "_Models":
        return cls(outlook.look(sample, night), churn.fit(spark, sample, night), Rhythm.of(sample))


def _teller(models: _Models, night: int) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for ``mapInArrow``: rows of :func:`visits` to the table's."""

    def tell(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                yield _rows(batch["user_id"], Visits.of(batch), models, night)

    return tell


def _rows(users: pa.Array, seen: Visits, models: _Models, night: int) -> pa.RecordBatch:
    known = summary(seen, night)
    nothing = np.full(len(seen), np.nan)
    ahead = models.outlook
    paying = ahead is not None and ahead.lifetime.spending is not None
    waits = models.rhythm.waits(seen, night) if models.rhythm else nothing
    values = {
        "first_day": _dates(night - known.age),
        "recency_days": known.age - known.recency,
        "frequency": known.repeats,
        "age_days": known.age,
        "monetary": known.spend,
        "p_alive": ahead.lifetime.visiting.p_alive(known) if ahead else nothing,
        "expected_purchases_90d": ahead.visits(seen, night) if ahead else nothing,
        "expected_spend_90d": ahead.spend(seen, night) if paying else nothing,
        "lifetime_value": ahead.lifetime.value(known) if paying else nothing,
        "loyalty": loyalty(seen, night),
        "p_churn": models.churn.probability(seen, night) if models.churn else nothing,
        "next_purchase_day": _dates(np.minimum(night + np.rint(waits), LATEST)),
    }
    types = {"int": pa.int32(), "double": pa.float64(), "date": pa.date32()}
    columns = [
        users if column.name == "user_id" else pa.array(values[column.name], types[column.type], from_pandas=True)
        for column in TOLD
    ]
    return pa.RecordBatch.from_arrays(columns, [column.name for column in TOLD])


def _dates(days: np.ndarray) -> np.ndarray:
    """Days since 1970-01-01, NaN for none, as dates."""
    missing = np.isnan(days)
    return np.where(missing, np.datetime64("NaT"), np.where(missing, 0, days).astype("datetime64[D]"))
