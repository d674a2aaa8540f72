"""User profiles: what each shopper buys, how often, for how much, when, and how varied."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from jobs.behaviour.consent import unprofiled
from jobs.behaviour.pseudonym import pseudonym_key, pseudonymised
from jobs.profiles.elasticity import SUMS, Usual, elasticity, moments, sums
from jobs.profiles.goods import Goods
from jobs.profiles.tastes import MADE, SAMPLE, Taken, half_life, tastes
from jobs.profiles.visits import number
from jobs.reads import on
from schemas.profiles import NEW, OCCASIONAL, PARTS_OF_DAY, RECENT, WEEKDAYS

READS = {
    "totals": on("profiles.totals"),
    "items": on("catalogue.items"),
    "elasticities": on("catalogue.elasticities"),
    "people": on("raw.users", optional=True),
    "preferences": on("profiles.preferences"),
}
NESTED = ("items", "recent", "prices")  # of profiles.totals, what is read in NumPy


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
    seen = _read(_counted(totals, day), totals, Goods.of(items), elasticities, number(day))
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


def _read(seen: DataFrame, totals: DataFrame, goods: Goods, elasticities: DataFrame, night: int) -> DataFrame:
    """``seen`` with what a user's lists of items say, by the catalogue and by what all users do."""
    usual = Usual.of(totals, goods, elasticities)
    sample = totals.orderBy("user_id").limit(SAMPLE)  # pseudonyms are hashes: the first are anybody
    chosen = half_life(sample.select("items", "recent").toArrow().combine_chunks(), goods, night)
    kept = StructType([field for field in seen.schema if field.name not in NESTED])
    more = pa.schema([*MADE.items(), *((name, pa.float64()) for name in SUMS)])

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            taken = Taken.of(batch, goods, night, (chosen,))
            made = tastes(taken, goods, chosen)
            made |= {name: pa.array(each) for name, each in sums(batch, goods, usual).items()}
            columns = [*(batch[name] for name in kept.names), *(made[name] for name in more.names)]
            yield pa.RecordBatch.from_arrays(columns, [*kept.names, *more.names])

    told = seen.mapInArrow(read, StructType([*kept, *from_arrow_schema(more)]))
    return told.crossJoin(F.broadcast(moments(totals, goods, usual)))


def _with_attributes(seen: DataFrame, known: DataFrame | None, refusing: DataFrame) -> DataFrame:
    if known is None:
        return seen.withColumn("attributes", _empty_map("string"))
    return seen.join(known.join(refusing, "user_id", how="left_anti"), on="user_id", how="full")


def _counted(totals: DataFrame, day: date) -> DataFrame:
    """Per user of the log: events, lines, baskets, days, money, and when they come."""
    nothing = F.lit(0).cast("decimal(38,4)")
    since = F.lit(day - timedelta(days=RECENT))
    paid = F.filter("visits", lambda one: (one["day"] > since) & one["money"].isNotNull())
    spent = F.aggregate(paid, nothing, lambda total, one: (total + one["money"]).cast("decimal(38,4)"))
    hours = 24 // len(PARTS_OF_DAY)
    # step by step: an expression within another is worked out anew for each element
    visits = (
        totals.withColumn("_last", F.transform("baskets", lambda one: one["last"]))
        .withColumn("_parts", F.transform("baskets", lambda one: F.floor(F.hour(one["began"]) / hours).cast("int")))
        .withColumn("_weekdays", F.transform("baskets", lambda one: F.weekday(one["began"])))
        .withColumn(
            "_days", F.array_sort(F.array_distinct(F.transform("baskets", lambda one: F.to_date(one["began"]))))
        )
        .withColumn("_later", F.greatest(F.size("_days") - 1, F.lit(0)))
        .withColumn("_gaps", F.zip_with(F.slice("_days", 2, "_later"), F.slice("_days", 1, "_later"), F.datediff))
        .withColumn("_gaps", F.array_sort("_gaps"))
    )
    middle = [F.get("_gaps", F.floor((F.size("_gaps") - back) / 2).cast("int")) for back in (1, 0)]
    return visits.select(
        "user_id",
        "events",
        "purchases",
        F.size("_last").alias("baskets"),
        F.size(F.filter("_last", lambda last: last > since)).alias("recent_baskets"),
        "first_day",
        "last_day",
        F.array_max("_last").alias("last_purchase"),
        spent.cast("double").alias("spent"),
        F.try_divide(F.col("discount").cast("double"), F.col("shelf").cast("double")).alias("discount_share"),
        _shares("_parts", PARTS_OF_DAY).alias("parts_of_day"),
        _shares("_weekdays", WEEKDAYS).alias("weekdays"),
        ((middle[0] + middle[1]) / 2.0).alias("cadence_days"),
        *NESTED,
    )


def _shares(places: str, names: tuple[str, ...]) -> Column:
    """Of an array of places in ``names``: each name that occurs with its share."""

    def share(place: int) -> Column:
        return F.try_divide(F.size(F.filter(places, lambda each: each == place)), F.size(places))

    entries = [F.struct(F.lit(name), share(place)) for place, name in enumerate(names)]
    return F.map_filter(F.map_from_entries(F.array(*entries)), lambda _, share: share > 0)


def _empty_map(value: str) -> Column:
    return F.create_map().cast(f"map<string,{value}>")
