"""What the gates cost: the share of a job's wall time that judging, auditing and recording its rows adds.

The real jobs make ten million rows, through the runner with its gate, and written and committed the same way without
one. Both ways take turns in one warm Spark session on tables of their own; the figures are medians.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from statistics import median

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import schemas
from benchmarks import Goal, PeakMemory, Result, cpu_seconds
from jobs.behaviour.log import log
from jobs.behaviour.pseudonym import KEY_VARIABLE
from jobs.erased import Erased
from jobs.lake import Lake, session
from jobs.night import Night
from jobs.profiles.users import users
from jobs.raw.events import events
from jobs.runner import run as run_night
from jobs.sources import folder
from jobs.staging import stage

ROWS, QUICK_ROWS = 10_000_000, 200_000
TURNS, QUICK_TURNS = 2, 1
SHARE = 0.15
JUDGED = ("_rule", "_reason", "_source")  # what the gate says of a row
DAY = date(2024, 3, 1)
USERS, ITEMS = 250_000, 90_000
MAPPING = """
[events]
files = "events/*.parquet"
event_types = { bought = "purchase", seen = "view" }

[events.columns]
ts = "at"
event_type = "what"
user_id = "who"
item_id = "sku"
quantity = "n"
amount = "paid"
discount = "saved"
basket_id = "receipt"
store_id = "branch"

[items]
files = "items/*.parquet"
columns = { item_id = "sku", title = "name", category_path = ["aisle"], price = "price" }
"""


def run(quick: bool) -> Result:
    rows, turns = (QUICK_ROWS, QUICK_TURNS) if quick else (ROWS, TURNS)
    os.environ.setdefault(KEY_VARIABLE, "the key of a shop that doesn't exist")
    spark = session("benchmark gates")
    with tempfile.TemporaryDirectory(prefix="gates-") as place, PeakMemory() as peak:
        # what Spark compiles at first use is no cost of either way
        _take_turns(spark, f"{place}/warm-up", QUICK_ROWS, 1)
        measured = _take_turns(spark, f"{place}/measured", rows, turns)
    return _result(measured, rows, turns, peak.gib)


def _take_turns(spark: SparkSession, place: str, rows: int, turns: int) -> dict[str, dict[str, list]]:
    """What each table cost, in the lake of a new shop."""
    _make_shop(spark, Path(place, "shop"), rows)
    night = Night(DAY, f"{place}/gated", "benchmark", source="folder", data=f"{place}/shop", docs=f"{place}/docs")
    run_night(["raw.items"], night)
    measured = {}
    for name, make in _jobs(Lake(spark, night.lake), night).items():
        measured[name] = _measured(name, make, night, Lake(spark, f"{place}/plain"), turns)
        if name == "behaviour.log":
            run_night(["catalogue.items", "catalogue.elasticities", "profiles.preferences", "profiles.totals"], night)
    return measured


def _jobs(lake: Lake, night: Night) -> dict[str, Callable[[], DataFrame]]:
    """The guarded jobs, each on what the runner would hand it."""

    def read(name: str) -> DataFrame:
        return lake.read(schemas.table(name))

    return {
        "raw.events": lambda: events(folder.events(lake.spark, night.data, None, night.day), day=night.day),
        "behaviour.log": lambda: log(read("raw.events"), read("raw.items"), None, None, day=night.day),
        "profiles.users": lambda: users(
            *(read(name) for name in ("profiles.totals", "catalogue.items", "catalogue.elasticities")),
            None,
            read("profiles.preferences"),
            day=night.day,
        ),
    }


def _measured(name: str, make: Callable[[], DataFrame], night: Night, plain: Lake, turns: int) -> dict[str, list]:
    """Wall and CPU seconds of each turn; who goes first changes from turn to turn.

    Each turn makes the table anew: where a night is there already, the runner reads the next night's rows alone.
    """
    table = schemas.table(name)

    def without() -> None:
        frame = make()
        good = frame.where("_rule IS NULL") if "_rule" in frame.columns else frame
        unjudged = good.select(*table.column_names, *(F.lit(None).cast("string").alias(name) for name in JUDGED))
        with stage(unjudged, table, plain) as staged:
            staged.publish(None, night.day, {"job": name}, Erased.read(plain.uri))

    ways = {
        "without": (plain, without),
        "with": (Lake(plain.spark, night.lake), lambda: run_night([name], night)),
    }
    seconds = {f"{way}_{clock}": [] for way in ways for clock in ("wall_s", "cpu_s")}
    for turn in range(turns):
        for way, (lake, do) in list(ways.items())[:: 1 if turn % 2 == 0 else -1]:
            shutil.rmtree(lake.path(table), ignore_errors=True)
            lake.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # it would remember the table
            wall, cpu = time.perf_counter(), cpu_seconds()
            do()
            seconds[f"{way}_wall_s"].append(round(time.perf_counter() - wall, 2))
            seconds[f"{way}_cpu_s"].append(round(cpu_seconds() - cpu, 2))
    return seconds


def _result(measured: dict[str, dict[str, list]], rows: int, turns: int, peak_gib: float) -> Result:
    goals, figures = {}, {"rows": rows, "turns": turns, "peak_gib": round(peak_gib, 2), "tables": {}}
    lines = [["table", "without s", "with s", "added", "added CPU"]]
    for name, seconds in measured.items():
        middle = {key: median(values) for key, values in seconds.items()}
        added = {
            clock: round(middle[f"with_{clock}"] / middle[f"without_{clock}"] - 1, 3) for clock in ("wall_s", "cpu_s")
        }
        goals[f"{name}: share of wall time added"] = Goal(SHARE, added["wall_s"])
        figures["tables"][name] = seconds | {"added_wall": added["wall_s"], "added_cpu": added["cpu_s"]}
        lines.append(
            [
                name,
                f"{middle['without_wall_s']:.1f}",
                f"{middle['with_wall_s']:.1f}",
                f"{added['wall_s']:+.1%}",
                f"{added['cpu_s']:+.1%}",
            ]
        )
    return Result(goals, figures, lines)


def _make_shop(spark: SparkSession, shop: Path, rows: int) -> None:
    """A shop's export of ninety days: few people buy much, few items sell much, one price in two hundred is negative.

    The same rows on every machine: the seeds and the number of partitions are fixed.
    """
    first = DAY - timedelta(days=89)
    (shop / "events").mkdir(parents=True)
    (shop / "mapping.toml").write_text(MAPPING, encoding="utf-8")
    spark.range(rows, numPartitions=16).selectExpr(
        "CASE WHEN rand(1) < 0.8 THEN 'bought' ELSE 'seen' END AS what",
        f"concat('c', CAST(pow(rand(2), 2) * {USERS} AS INT)) AS who",
        f"CAST(1000000 + CAST(pow(rand(3), 3) * {ITEMS} AS INT) AS STRING) AS sku",
        f"date_format(timestampadd(SECOND, CAST(rand(4) * {90 * 86_400} AS INT), TIMESTAMP'{first} 00:00:00'), "
        "'yyyy-MM-dd HH:mm:ss') AS at",
        "CAST(1 + CAST(pow(rand(5), 4) * 6 AS INT) AS DOUBLE) AS n",
        "round(0.5 + rand(6) * 12, 2) * CASE WHEN rand(7) < 0.005 THEN -1 ELSE 1 END AS paid",
        "CASE WHEN rand(8) < 0.4 THEN round(rand(9) * 2, 2) ELSE 0D END AS saved",
        "CAST(31000000000 + id DIV 8 AS STRING) AS receipt",
        "CAST(CAST(rand(10) * 400 AS INT) AS STRING) AS branch",
    ).write.mode("append").parquet(str(shop / "events"))
    spark.range(ITEMS, numPartitions=2).selectExpr(
        "CAST(1000000 + id AS STRING) AS sku",
        "concat('item ', id) AS name",
        "concat('aisle ', id % 300) AS aisle",
        "round(0.5 + rand(11) * 12, 2) AS price",
    ).write.mode("append").parquet(str(shop / "items"))
