"""The product's own jobs on the shop's files: behaviour.log, profiles.totals and profiles.users, in one session."""

import os
import time
from datetime import date, timedelta
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

import schemas
from benchmarks.scale.shop import KEY
from jobs.behaviour.log import log
from jobs.behaviour.pseudonym import KEY_VARIABLE
from jobs.lake import session
from jobs.profiles.totals import totals
from jobs.profiles.users import users
from jobs.staging import writer


def run(folder: Path, out: Path, day: date) -> dict[str, float]:
    """Wall seconds of each step, whose rows lie in ``out`` afterwards.

    All but the last day at once, then that day's night, which goes on from last night's totals: ``night`` is what it
    took. ``log`` and ``profiles`` are the whole history's.
    """
    os.environ[KEY_VARIABLE] = KEY
    spark = session("benchmark scale")
    shop, last = _Shop(spark, folder, out), day - timedelta(days=1)
    steps = {
        "log": lambda: shop.log(None, last),
        "totals": lambda: shop.totals(None, last),
        "users": lambda: shop.users(last),
        "night log": lambda: shop.log(last, day),
        "night totals": lambda: shop.totals(last, day),
        "night users": lambda: shop.users(day),
    }
    seconds = {}
    for name, step in steps.items():
        began = time.perf_counter()
        step()
        seconds[name] = time.perf_counter() - began
    return {
        "log": seconds["log"],
        "profiles": seconds["totals"] + seconds["users"],
        "night": sum(value for name, value in seconds.items() if name.startswith("night")),
        "steps": seconds,
    }


class _Shop:
    def __init__(self, spark: SparkSession, folder: Path, out: Path):
        self.spark, self.folder, self.out = spark, folder, out

    def log(self, after: date | None, day: date) -> None:
        events = self._contract("raw.events", self.spark.read.parquet(str(self.folder / "events")))
        fresh = events.where(F.col("day") <= F.lit(day))
        recent = earlier = None
        if after is not None:
            fresh = fresh.where(F.col("day") > F.lit(after))
            earlier = self._log(None, after)
            recent = earlier.where(F.col("arrived") == F.lit(after))
        made = log(fresh, self._items(), recent, earlier, day=day).where("_rule IS NULL")
        table = schemas.table("behaviour.log")
        writer(made.select(*table.column_names), table).mode("append").parquet(str(self.out / "log"))

    def totals(self, after: date | None, day: date) -> None:
        known = earlier = None
        if after is not None:
            known, earlier = self._made("totals", after), self._log(None, after)
        made = totals(self._log(after, day), known, earlier, self._nobody(), day=day)
        self._write(made, "totals", day)

    def users(self, day: date) -> None:
        nothing = self.spark.createDataFrame([], schemas.table("catalogue.elasticities").ddl)
        made = users(self._made("totals", day), self._items(), nothing, None, self._nobody(), day=day)
        self._write(made, "users", day)

    def _log(self, after: date | None, day: date) -> DataFrame:
        table = schemas.table("behaviour.log")
        rows = self.spark.read.schema(table.ddl).parquet(str(self.out / "log")).where(F.col("arrived") <= F.lit(day))
        return rows if after is None else rows.where(F.col("arrived") > F.lit(after))

    def _items(self) -> DataFrame:
        return self.spark.read.parquet(str(self.folder / "items.parquet"))

    def _nobody(self) -> DataFrame:
        return self.spark.createDataFrame([], schemas.table("profiles.preferences").ddl)

    def _contract(self, name: str, rows: DataFrame) -> DataFrame:
        fields = StructType.fromDDL(schemas.table(name).ddl).fields
        there = set(rows.columns)
        return rows.select(
            *(
                F.col(field.name) if field.name in there else F.lit(None).cast(field.dataType).alias(field.name)
                for field in fields
            )
        )

    def _write(self, rows: DataFrame, name: str, day: date) -> None:
        columns = schemas.table(f"profiles.{name}").columns
        typed = rows.select(*(F.col(each.name).cast(each.type).alias(each.name) for each in columns))
        typed.write.mode("overwrite").parquet(str(self.out / f"{name}-{day}"))

    def _made(self, name: str, day: date) -> DataFrame:
        return self.spark.read.parquet(str(self.out / f"{name}-{day}"))
