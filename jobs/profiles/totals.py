"""What profiles.users and profiles.customers are made of: each user's totals so far, carried from night to night."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

import schemas
from jobs.behaviour.consent import unprofiled
from jobs.behaviour.histories import INTEREST as SIGNS
from jobs.profiles.adding import adder
from jobs.profiles.lines import INTEREST, LISTS, OTHER, PURCHASE, RETURN
from jobs.profiles.visits import number
from jobs.reads import before, new, on

READS = {
    "log": new("behaviour.log"),
    "known": before("profiles.totals", nights=1, optional=True),
    "earlier": before("behaviour.log"),
    "preferences": on("profiles.preferences"),
}
TABLE = schemas.table("profiles.totals")


def totals(
    log: DataFrame, known: DataFrame | None, earlier: DataFrame | None, preferences: DataFrame, *, day: date
) -> DataFrame:
    """One row a user of the log; of who wants no profile, the pseudonym alone.

    Nights made one by one give the same bits as all of them at once: counts, days and decimals don't ask in which order
    they come, and the decayed weights, which are doubles, are added up in one order that both have. A line settles when
    it is a week old, or on the night it arrived if it was older by then; lines settle by (settled, day). Before that
    they stand in ``recent``, so that ``items`` are what was known a week ago.

    Args:
        log: behaviour.log of the nights since ``known``.
        known: this table's last night; None on the first.
        earlier: behaviour.log up to ``known``; read only for those who take back their wish for no profile.
        preferences: profiles.preferences of the night.
        day: the night.
    """
    refusing = unprofiled(preferences)
    going_on = known is not None
    if not going_on:
        known = log.sparkSession.createDataFrame([], TABLE.ddl)
    back = known.where("refused").select("user_id").join(refusing, "user_id", how="left_anti")
    if earlier is not None and not back.isEmpty():
        log = log.unionByName(earlier.join(back, "user_id", how="left_semi"))
    before = known.where("NOT refused").drop("day", "refused")
    both = _lines(log)
    if going_on:  # columns of before, null, would cost each line more than all else does
        both = both.unionByName(before, allowMissingColumns=True)
    # one shuffle of what is asked for, and no other: a user's rows come together, in one task and one after the other
    ordered = both.join(refusing, "user_id", how="left_anti").repartition("user_id").sortWithinPartitions("user_id")
    made = StructType([field for field in StructType.fromDDL(TABLE.ddl) if field.name not in ("day", "refused")])
    rows = ordered.mapInArrow(adder(number(day), to_arrow_schema(made, timezone="UTC")), made).withColumn(
        "refused", F.lit(False)
    )
    everybody = log.select("user_id").unionByName(known.select("user_id"))
    refused = everybody.join(refusing, "user_id", how="left_semi").distinct().withColumn("refused", F.lit(True))
    nothing = {name: F.array().cast(made[name].dataType) for name in LISTS}
    nothing |= {name: F.lit(0).cast("bigint") for name in ("events", "purchases")}
    return (
        rows.unionByName(refused.withColumns(nothing), allowMissingColumns=True)
        .withColumn("day", F.lit(day))
        .select(*TABLE.column_names)
    )


def _lines(log: DataFrame) -> DataFrame:
    """The log as :func:`jobs.profiles.adding.added` takes it."""
    kind = (
        F.when(F.expr("event_type = 'purchase'"), PURCHASE)
        .when(F.expr("event_type = 'return'"), RETURN)
        .when(F.expr(SIGNS), INTEREST)
        .otherwise(OTHER)
    )
    basket = F.when(kind == PURCHASE, F.xxhash64(F.coalesce("basket_id", "session_id")))
    # profiles.totals has a discount of its own
    money = {"amount": "paid", "discount": "off", "unit_price": "price"}
    return log.select(
        "user_id",
        kind.alias("kind"),
        basket.alias("basket"),
        *("item_id", "day", "arrived", "ts"),
        *(F.col(name).alias(mine) for name, mine in money.items()),
    )
