"""Runs jobs for one night: hand in what each reads, split off bad rows, audit, and replace the night.

This is the only place with a clock, a session and a write; the jobs are pure functions.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

import schemas
from jobs import model as models
from jobs.behaviour.pseudonym import pseudonym_key, pseudonymised
from jobs.erased import RULE, Erased, ErasedMeanwhileError
from jobs.faults import understood
from jobs.gate import Counts, Gate, judge
from jobs.lake import Lake, between, session
from jobs.model import Model, send
from jobs.night import Job, Night, lacking, source_reader
from jobs.reads import Read
from jobs.staging import Staged, stage
from schemas import Table
from schemas.contract import SOURCE_ID
from schemas.raw import UNDATED

log = logging.getLogger(__name__)

REJECTS = schemas.table("raw.rejects")
QUALITY = schemas.table("insight.quality")


class GateError(ValueError):
    """A table rule broke: nothing of this table was published."""


def run(names: Sequence[str], night: Night) -> None:
    """Makes the tables ``names`` in that order for one night.

    Raises:
        GateError: if a table rule broke; earlier tables of ``names`` are written, this and later ones are not.
        ValueError: if an input is missing or malformed.
    """
    jobs = [Job.named(name) for name in names if not lacking(name, night)]
    for name in names:
        if lacking(name, night):
            log.info("%s %s: source %s has none, skipped", night.day, name, night.source)
    lake = Lake(session(), night.lake)
    gate = Gate(night.docs, night.privacy.k)
    quality: list[tuple] = []
    try:
        with tempfile.TemporaryDirectory(prefix="model-") as folder:
            # first of all, so that a night without a model is told so at once
            found = _models(jobs, night, folder)
            for model in filter(None, found.values()):
                send(lake.spark, model.path)
            for job in jobs:
                _explained(job, lake, gate, night, found, quality)
    except Exception:
        try:
            _record(lake, night, gate, quality)
        except Exception as error:  # the disk may be full: the night's own error is the one to read
            log.warning("insight.quality of %s could not be written: %s", night.day, str(error).split("\n")[0])
        raise
    _record(lake, night, gate, quality)


def _models(jobs: list[Job], night: Night, folder: str) -> dict[str, Model | None]:
    """By the kind of read that asks for it."""
    fetched = {
        "model": lambda: models.fetch(night.model_version, folder),
        "sentiment": lambda: models.fetch_sentiment(night.sentiment_version, folder),
    }
    return {kind: fetch() for kind, fetch in fetched.items() if any(job.reads_kind(kind) for job in jobs)}


def _explained(
    job: Job, lake: Lake, gate: Gate, night: Night, found: dict[str, Model | None], quality: list[tuple]
) -> None:
    erased = Erased.read(night.lake)  # before anything else is read: who is erased later is found out at the commit
    try:
        _step(job, lake, gate, night, found, quality, erased)
    except (PySparkException, Py4JJavaError) as error:
        erased.check(job.table)  # files that held the person are gone, and Spark may have missed one
        raise understood(error, job.table, night.lake) or error from error


def _step(
    job: Job,
    lake: Lake,
    gate: Gate,
    night: Night,
    found: dict[str, Model | None],
    quality: list[tuple],
    erased: Erased,
) -> None:
    started = time.monotonic()
    table = job.table
    log.info("%s %s", night.day, table.name)
    _require_kept(job, lake, night)
    incremental = job.reads_kind("new") or job.reads_kind("source")
    after = lake.last_night(table, night.day) if incremental else night.day - timedelta(days=1)
    given = {name: _hand_in(read, job, lake, night, after, found) for name, read in job.reads.items()}
    made, rows_in = _counted(erased.rejecting(_made(job, given, lake, night), table))
    with stage(judge(made, table), table, lake) as staged:
        counts = _count(rows_in(), staged, lake, night, after)
        verdict = gate.audit(staged.kept, table, counts, night.day, night.run_id)
        quality.extend(verdict.rows)
        broken = list(verdict.broken)
        if not broken and job.audit is not None:
            broken = job.audit(staged.kept, **{name: frame for name, frame in given.items() if name != "staged"})
        _keep_rejects(staged, counts, lake, night, after, erased)
        if broken:
            raise GateError(f"{table.name}, night {night.day}: " + "; ".join(broken))
        seconds = round(time.monotonic() - started, 1)
        about = _signature(table, night) | {"rows_in": counts.rows_in, "seconds_to_commit": seconds}
        staged.publish(after, night.day, about, erased)
    log.info(
        "%s %s: %d rows in, %d out, %d rejected, %.1f s",
        night.day, table.name, counts.rows_in, counts.rows_kept, counts.rows_rejected, time.monotonic() - started,
    )  # fmt: skip


def _made(job: Job, given: dict, lake: Lake, night: Night) -> DataFrame:
    """What the job makes of ``given``; no rows where it says None, for the shop has nothing to make them of."""
    made = job.make(**given, day=night.day)
    return lake.spark.createDataFrame([], job.table.ddl) if made is None else made


def _counted(frame: DataFrame) -> tuple[DataFrame, Callable[[], int]]:
    """The job's frame, and a function that says how many rows it had once it was read.

    Counted before anything is split off, so that kept + rejected = in is a finding and not a definition.
    """
    rows = Observation()

    def count() -> int:
        try:
            return rows.get["in"]
        except Py4JJavaError:
            # Spark met no row and dropped the count with its plan; were there one, kept + rejected = in would not hold
            return 0

    return frame.observe(rows, F.count(F.lit(1)).alias("in")), count


def _require_kept(job: Job, lake: Lake, night: Night) -> None:
    """Stops a rerun that would put nothing in the place of rows whose origin upkeep has dropped."""
    for read in (read for read in job.reads.values() if read.kind == "new"):
        table = schemas.table(read.table)
        if lake.dropped(table, night.day) and lake.counts(job.table, night.day - timedelta(days=1), night.day):
            raise ValueError(
                f"{job.table.name}: {table.name} no longer has the night {night.day}, of which {job.table.name} has "
                f"rows: make {table.name} for that night first"
            )


def _hand_in(read: Read, job: Job, lake: Lake, night: Night, after: date | None, found: dict[str, Model | None]):
    if read.kind == "source":
        return source_reader(night.source, job.table)(lake.spark, night.data, after, night.day)
    if read.kind in found:
        return found[read.kind]
    if read.kind == "privacy":
        return night.privacy
    table = schemas.table(read.table)
    if read.kind == "before" and after is None:
        return None
    if read.optional and not lake.exists(table):
        return None
    reach = timedelta(days=read.nights or 0)
    first, last = {
        "on": (night.day - timedelta(days=1), night.day),
        "upto": (None, night.day),
        "last": (night.day - reach, night.day),
        "around": (night.day - reach, night.day + reach - timedelta(days=1)),
        "new": (after, night.day),
        "before": (after - reach if after and read.nights else None, after),
    }[read.kind]
    return lake.read(table, first, last)


def _count(rows_in: int, staged: Staged, lake: Lake, night: Night, after: date | None) -> Counts:
    table = staged.table
    one_night = after == night.day - timedelta(days=1)
    history = lake.counts(table, night.day - timedelta(days=8), night.day - timedelta(days=1)) if one_night else {}
    # rows without a day come again every night; they weighed on the first. Those of erased people weigh on none
    repeated = (0 if after is None else staged.count(kept=False, of="undated")) + staged.count(kept=False, of="erased")
    return Counts(rows_in, staged.count(kept=True), staged.count(kept=False), tuple(history.values()), repeated)


def _keep_rejects(staged: Staged, counts: Counts, lake: Lake, night: Night, after: date | None, erased: Erased) -> None:
    """Replaces the night's rejects of this table; without any, now or before, there is nothing to write."""
    table = staged.table
    nights = between("day", after, night.day)
    where = f"`table` = '{table.name}' AND (({nights}) OR day = DATE'{UNDATED}')"
    if not counts.rows_rejected and not _rejected_before(lake, table, where):
        return
    rejects = _about(staged).select(
        F.coalesce(F.col(table.night), F.lit(UNDATED)).alias("day"),
        F.lit(table.name).alias("table"),
        F.col("_rule").alias("rule"),
        F.col("_reason").alias("reason"),
        F.col("_source").alias("source_row"),
        F.when(F.col("_rule") != RULE, F.col("user_id")).alias("user_id"),
    )
    lake.replace(rejects, REJECTS, where, _signature(table, night))
    try:
        erased.check(table)
    except ErasedMeanwhileError:
        lake.replace(rejects.limit(0), REJECTS, where, _signature(table, night))
        raise


def _about(staged: Staged) -> DataFrame:
    """The rejected rows with ``user_id``, the pseudonym of whom each is about."""
    person, rejected = staged.table.person, staged.rejected
    named = rejected.withColumn("user_id", F.lit(None).cast("string") if person is None else F.col(person.name))
    if person is None or person.person != SOURCE_ID:
        return named
    return pseudonymised(named, pseudonym_key())


def _rejected_before(lake: Lake, table: Table, where: str) -> bool:
    # most tables never had a reject, which the log tells at once
    return lake.has(REJECTS, "table", table.name) and bool(lake.read(REJECTS).where(where).take(1))


def _record(lake: Lake, night: Night, gate: Gate, quality: list[tuple]) -> None:
    """One commit, and the pages, for everything the session's gates found."""
    if not quality:
        return
    tables = sorted({row[QUALITY.column_names.index("table")] for row in quality})
    where = f"day = DATE'{night.day}' AND `table` IN ({', '.join(repr(name) for name in tables)})"
    lake.note(quality, QUALITY, where, _signature(QUALITY, night))
    gate.publish_docs()


def _signature(table: Table, night: Night) -> dict:
    """What a commit says of itself: the check after the task looks for day and run."""
    return {"day": night.day.isoformat(), "job": table.name, "run_id": night.run_id}
