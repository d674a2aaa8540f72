"""The behaviour log: the night's events, cleaned, once each, in sessions, under pseudonyms."""

from collections.abc import Iterable, Iterator
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.behaviour.pseudonym import pseudonym_key, pseudonymised
from jobs.behaviour.text import cleaned
from jobs.reads import before, new, on
from schemas import table

READS = {
    "events": new("raw.events"),
    "items": on("raw.items"),
    "recent": before("behaviour.log", nights=1, optional=True),
    "earlier": before("behaviour.log", optional=True),
}

GAP = "INTERVAL 30 MINUTES"  # without an event, it ends a session
LATE = "to_date(ts) < day"  # of raw.events, whose day is the day of arrival
# columns of raw.events that the log has as they came
TOLD = (
    *("event_type", "item_id", "basket_id", "store_id", "quantity", "amount", "discount"),
    *("campaign_id", "rank", "clicked", "propensity", "policy"),
)
MANY = 1_000_000  # ids told more than once: as many can be sent to every task, 8 MB


def log(
    events: DataFrame, items: DataFrame, recent: DataFrame | None, earlier: DataFrame | None, *, day: date
) -> DataFrame:
    """One row an event; those that stay out carry ``_rule``, ``_reason`` and ``_source``.

    Nights made one by one give the same rows as all of them at once. Two definitions keep it so:

    An event is a duplicate if its id came before in the same night, or if it is late and its id came any night before.
    An event on time can't have been read before it happened, so only late ones are looked up in the log.

    A session holds events of one user that are equally late: on time, one night late, and so on. A late event therefore
    never joins, splits or renames a session that was published before it came.

    Args:
        events: rows of raw.events.
        items: tonight's raw.items.
        recent: the night of the log before these events, whose last sessions may go on; None on the first night.
        earlier: all nights of the log before these events; None on the first night.
    """
    told = _with_repeated(_with_known(events, items), events)
    checked = _with_rules(_with_seen(told, earlier), events.columns)
    rows = _with_sessions(_named(checked), recent).select("*", "_told.*", "_out.*").withColumn("day", F.to_date("ts"))
    price = F.when(F.col("quantity") > 0, F.col("amount") / F.col("quantity"))
    columns = (*table("behaviour.log").column_names, "_rule", "_reason", "_source")
    return rows.withColumn("unit_price", price).select(*columns)


def _with_known(events: DataFrame, items: DataFrame) -> DataFrame:
    """``_known``: false for events of an item that the catalogue doesn't have."""
    catalogue = items.select("item_id", F.lit(True).alias("_listed"))
    known = F.col("item_id").isNull() | F.col("_listed").isNotNull()
    return events.join(catalogue, on="item_id", how="left").withColumn("_known", known)


def _with_repeated(rows: DataFrame, events: DataFrame) -> DataFrame:
    """``_repeated``: true for events whose id comes before in ``events``, of which ``rows`` tells ``_known`` as well.

    Whole rows are compared only where 64 bits of their ids are alike: to bring each id's rows together would cost every
    night what sessions cost it once more.
    """
    hashed = rows.withColumn("_hash", F.xxhash64("event_id"))
    hashes = _told_again(events)
    if len(hashes) > MANY:
        return _compared(hashed, events.columns).drop("_hash")
    again = F.broadcast(rows.sparkSession.createDataFrame(hashes))
    once = hashed.join(again, on="_hash", how="left_anti").withColumn("_repeated", F.lit(False))
    more = _compared(hashed.join(again, on="_hash", how="left_semi"), events.columns)
    return once.unionByName(more).drop("_hash")


def _told_again(events: DataFrame) -> pa.Table:
    """``_hash`` of the ids that more than one event has, and perhaps, by chance, of some that have not."""
    hashes = events.select(F.xxhash64("event_id").alias("_hash")).repartition("_hash")
    return hashes.mapInArrow(_more_than_once, "_hash bigint").limit(MANY + 1).toArrow()


def _more_than_once(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A function for ``mapInArrow``: hashes to those that it meets again, each once."""
    hashes = np.sort(np.concatenate([np.zeros(0, np.int64), *(batch["_hash"].to_numpy() for batch in batches)]))
    again = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    yield pa.RecordBatch.from_arrays([pa.array(again)], ["_hash"])


def _compared(hashed: DataFrame, source_columns: list[str]) -> DataFrame:
    # the hash of a row decides between those of one id and one moment, so that a rerun keeps the same one
    copies = Window.partitionBy("_hash", "event_id", "_known").orderBy("day", "ts", F.xxhash64(*source_columns))
    previous = F.lag("day").over(copies)
    repeated = previous.isNotNull() & (F.expr(LATE) | (previous == F.col("day")))
    return hashed.withColumn("_repeated", repeated)


def _with_seen(events: DataFrame, earlier: DataFrame | None) -> DataFrame:
    """``_seen``: true for late events that an earlier night of the log has."""
    if earlier is None:
        return events.withColumn("_seen", F.lit(False))
    late = events.where(LATE).select("event_id").distinct()
    seen = earlier.join(late, on="event_id", how="left_semi").select("event_id", F.lit(True).alias("_found")).distinct()
    found = events.join(seen, on="event_id", how="left")
    return found.withColumn("_seen", F.expr(LATE) & F.col("_found").isNotNull())


def _with_rules(events: DataFrame, source_columns: list[str]) -> DataFrame:
    """``_rule`` and ``_reason`` of rows that stay out, null for those that stay; ``_source`` is the raw row as JSON."""
    rule = F.when(~F.col("_known"), "known_item").when(F.col("_seen") | F.col("_repeated"), "duplicate")
    reason = F.when(
        F.col("_rule") == "known_item", F.format_string("item_id '%s' is not in raw.items of the night", "item_id")
    ).when(F.col("_rule") == "duplicate", F.format_string("event_id '%s' came before; the first is kept", "event_id"))
    source = F.when(F.col("_rule").isNotNull(), F.to_json(F.struct(*source_columns)))
    return events.withColumn("_rule", rule).withColumn("_reason", reason).withColumn("_source", source)


def _named(events: DataFrame) -> DataFrame:
    """raw.events under the names of the log, without the source's user ids: what sessions are made of, and the rest as
    ``_told``, one value that costs each step on the way to them a single copy."""
    told = {name: F.col(name) for name in TOLD} | {"arrived": F.col("day"), "query": cleaned(F.col("query"))}
    return pseudonymised(events, pseudonym_key()).select(
        "user_id",
        "ts",
        "event_id",
        # named here: Spark would shuffle anew for each window over an expression
        F.datediff("day", F.to_date("ts")).alias("_late_by"),
        F.col("_rule").isNull().alias("_kept"),
        F.struct(*(value.alias(name) for name, value in told.items())).alias("_told"),
        F.when(F.col("_rule").isNotNull(), F.struct("_rule", "_reason", "_source")).alias("_out"),
    )


def _with_sessions(rows: DataFrame, recent: DataFrame | None) -> DataFrame:
    """``session_id``: the user and the second the session began; none for rows that stay out."""
    rows = rows.withColumn("_carried", F.lit(None).cast("string"))
    if recent is not None:
        late_by = F.datediff("arrived", "day").alias("_late_by")
        unfinished = recent.where(f"ts > date_add(day, 1) - {GAP}").select(
            "user_id", "ts", "event_id", late_by, F.lit(True).alias("_kept"), F.col("session_id").alias("_carried")
        )
        rows = rows.unionByName(unfinished, allowMissingColumns=True)
    line = Window.partitionBy("user_id", "_late_by", "_kept").orderBy("ts", "event_id")
    so_far = line.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    begins = F.expr(f"_previous IS NULL OR ts >= _previous + {GAP}")
    fresh = F.when(begins, F.concat_ws("-", "user_id", F.unix_seconds("ts")))
    return (
        rows.withColumn("_previous", F.lag("ts").over(line))
        .withColumn("_begun", F.coalesce("_carried", fresh))
        .withColumn("session_id", F.when(F.col("_kept"), F.last("_begun", ignorenulls=True).over(so_far)))
        .where(F.col("_carried").isNull())
    )
