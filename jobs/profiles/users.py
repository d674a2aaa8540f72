"""User profiles: what each shopper buys, how often, for how much, when, and how varied."""

from collections.abc import Iterable, Iterator
from datetime import date

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from jobs.behaviour.consent import unprofiled
from jobs.behaviour.pseudonym import pseudonym_key, pseudonymised
from jobs.profiles import occasions, tastes
from jobs.profiles.elasticity import SUMS, Usual, elasticity, moments, sums
from jobs.profiles.goods import Goods
from jobs.profiles.tastes import SAMPLE, half_life
from jobs.profiles.visits import number
from jobs.reads import on
from schemas.profiles import NEW, OCCASIONAL, RECENT

READS = {
    "totals": on("profiles.totals"),
    "items": on("catalogue.items"),
    "elasticities": on("catalogue.elasticities"),
    "people": on("raw.users", optional=True),
    "preferences": on("profiles.preferences"),
}
KEPT = ("user_id", "events", "purchases", "first_day", "last_day")  # of profiles.totals, as they are


def users(
    totals: DataFrame,
    items: DataFrame,
    elasticities: DataFrame,
    people: DataFrame | None,
    preferences: DataFrame,
    *,
    day: date,
) -> DataFrame:
    """One row a user of the log or of the shop's user list, those without an event in segment ``none``.

    Money returned within the 91 days is taken off ``value``, down to 0. ``price_level`` is the mean, over purchase
    lines, of the percent rank of the item's price among the priced items of its category. Shares are of the lines whose
    category (brand) is known. ``variety`` is Shannon's entropy of the category shares, all of them, divided by the
    logarithm of the number of categories in the catalogue: 0 buys one category, 1 all of them alike. A basket was
    bought when its first line was. Who wants no profile has the row of a user of whom nothing is known.

    Args:
        totals: profiles.totals of the night.
        items: catalogue.items of the night.
        elasticities: catalogue.elasticities of the night.
        people: raw.users of the night; None where the shop has no user list.
        preferences: profiles.preferences of the night.
        day: the night.
    """
    known = None
    if people is not None:
        known = pseudonymised(people.select("user_id", "attributes"), pseudonym_key())
    refusing = unprofiled(preferences)
    theirs = totals if known is None else totals.select("user_id").unionByName(known.select("user_id"))
    nameless = theirs.join(refusing, "user_id", how="left_semi").select("user_id").distinct()
    totals = totals.join(refusing, "user_id", how="left_anti")
    seen = _read(totals, Goods.of(items), elasticities, number(day))
    baskets = F.coalesce("recent_baskets", F.lit(0))
    segment = (
        F.when(baskets == 0, "none")
        .when(baskets <= NEW, "new")
        .when(baskets <= OCCASIONAL, "occasional")
        .otherwise("loyal")
    )
    shares = ("categories", "brands", "intent", "parts_of_day", "weekdays")
    rows = _with_attributes(seen, known, refusing).unionByName(nameless, allowMissingColumns=True)
    return rows.select(
        F.lit(day).alias("day"),
        "user_id",
        segment.alias("segment"),
        F.coalesce("attributes", _empty_map("string")).alias("attributes"),
        *(F.coalesce(name, F.lit(0)).alias(name) for name in ("events", "purchases", "baskets")),
        "first_day",
        "last_day",
        F.datediff(F.lit(day), "last_purchase").alias("recency_days"),
        (baskets / (RECENT / 7)).alias("frequency"),
        F.greatest(F.coalesce("spent", F.lit(0.0)), F.lit(0.0)).alias("value"),
        "price_level",
        "discount_share",
        *(each.alias(name) for name, each in elasticity().items()),
        *(F.coalesce(name, _empty_map("double")).alias(name) for name in shares),
        "variety",
        "half_life_days",
        "cadence_days",
        F.date_add("last_purchase", F.ceil("cadence_days").cast("int")).alias("due_day"),
    )


def _read(totals: DataFrame, goods: Goods, elasticities: DataFrame, night: int) -> DataFrame:
    """One row a user of profiles.totals: what it tells by the catalogue, and beside what all users do."""
    usual = Usual.of(totals, goods, elasticities)
    chosen = half_life(_sample(totals).select("items", "recent").toArrow().combine_chunks(), goods, night)
    made = pa.schema([*occasions.MADE.items(), *tastes.MADE.items(), *((name, pa.float64()) for name in SUMS)])

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            told = occasions.occasions(batch, night)
            told |= tastes.tastes(tastes.Taken.of(batch, goods, night, (chosen,)), goods, chosen)
            told |= {name: pa.array(each) for name, each in sums(batch, goods, usual).items()}
            columns = [*(batch[name] for name in KEPT), *(told[name] for name in made.names)]
            yield pa.RecordBatch.from_arrays(columns, [*KEPT, *made.names])

    kept = StructType([totals.schema[name] for name in KEPT])
    rows = totals.drop("day", "refused").mapInArrow(read, StructType([*kept, *from_arrow_schema(made)]))
    rows = rows.localCheckpoint()  # what all users do beside that is told by the same rows
    return rows.crossJoin(F.broadcast(moments(rows)))


def _sample(totals: DataFrame) -> DataFrame:
    """The first SAMPLE users by pseudonym, which is a hash: they are anybody."""
    first = totals.select("user_id").orderBy("user_id").limit(SAMPLE)  # by itself: lists are dear to sort
    last = first.agg(F.max("user_id")).first()[0]
    return totals.where(F.col("user_id") <= F.lit(last))


def _with_attributes(seen: DataFrame, known: DataFrame | None, refusing: DataFrame) -> DataFrame:
    if known is None:
        return seen.withColumn("attributes", _empty_map("string"))
    return seen.join(known.join(refusing, "user_id", how="left_anti"), on="user_id", how="full")


def _empty_map(value: str) -> Column:
    return F.create_map().cast(f"map<string,{value}>")
