"""One commit replaces one night, and nothing else."""

from datetime import date, timedelta

import pytest
from pyspark.sql import functions as F

import schemas
from jobs.lake import signed
from tests.jobs.conftest import FIRST, SECOND, USERS, names, people, put

REJECTS = schemas.table("raw.rejects")


def test_a_night_is_replaced_alone_and_an_empty_one_signs_its_commit(spark, lake):
    put(lake, people(spark, FIRST, "ann", "bob"), FIRST)
    put(lake, people(spark, SECOND, "cy"), SECOND, "second")
    put(lake, people(spark, FIRST, "ann"), FIRST, "again")
    assert names(lake) == ["ann", "cy"]
    assert names(lake, after=FIRST) == ["cy"]
    assert names(lake, day=FIRST) == ["ann"]
    assert lake.counts(USERS, FIRST - timedelta(days=1), SECOND) == {FIRST: 1, SECOND: 1}
    assert lake.last_night(USERS, SECOND) == FIRST
    assert lake.last_night(USERS, FIRST) is None

    third = date(2024, 5, 3)
    put(lake, people(spark, third), third, "closed")
    assert signed(lake.uri, USERS, third, "closed")
    assert signed(lake.uri, USERS, FIRST, "again")
    assert not signed(lake.uri, USERS, FIRST, "closed")


def test_a_few_rows_replace_those_that_a_condition_names(spark, lake):
    quality = schemas.table("insight.quality")

    def note(day, table, found, run_id):
        row = (day, table, "expect", None, True, found, "0", "row", 1, 1, 0, run_id)
        where = f"day = DATE'{day}' AND `table` IN ('{table}')"
        lake.note([row], quality, where, {"day": day.isoformat(), "run_id": run_id})

    note(FIRST, "raw.users", "1", "run")
    note(FIRST, "raw.items", "2", "run")
    note(SECOND, "raw.users", "3", "run")
    note(FIRST, "raw.users", "4", "again")
    kept = lake.read(quality).select("day", "table", "observed").collect()
    assert sorted(map(tuple, kept)) == [
        (FIRST, "raw.items", "2"),
        (FIRST, "raw.users", "4"),
        (SECOND, "raw.users", "3"),
    ]
    assert lake.read(quality).schema.simpleString() == spark.createDataFrame([], quality.ddl).schema.simpleString()
    assert signed(lake.uri, quality, FIRST, "again")
    assert lake.has(REJECTS, "table", "raw.users") is False


def test_a_log_tells_whether_a_partition_has_rows(spark, lake, frame):
    refused = {"day": FIRST, "table": "raw.users", "rule": "r", "reason": "why", "source_row": "{}"}
    lake.replace(frame(REJECTS.name, refused), REJECTS, "`table` = 'raw.users'", {})
    assert lake.has(REJECTS, "table", "raw.users")
    assert not lake.has(REJECTS, "table", "raw.items")
    lake.replace(frame(REJECTS.name, refused).limit(0), REJECTS, "`table` = 'raw.users'", {})
    assert not lake.has(REJECTS, "table", "raw.users")


def test_a_missing_table_and_a_missing_column_are_named(spark, lake):
    with pytest.raises(ValueError, match=r"raw\.users: no Delta table at"):
        lake.read(USERS)
    people(spark, FIRST, "ann").drop("user_id").write.format("delta").save(lake.path(USERS))
    with pytest.raises(ValueError, match=r"raw\.users: .* has no column user_id, which is required; delete"):
        lake.read(USERS)
    assert not signed(lake.uri, schemas.table("raw.items"), FIRST, "run")


def test_a_table_gets_the_columns_that_its_contract_got(spark, lake):
    people(spark, FIRST, "ann").drop("attributes").write.format("delta").partitionBy("day").save(lake.path(USERS))
    assert [row["attributes"] for row in lake.read(USERS).collect()] == [None]
    put(lake, people(spark, SECOND, "bob").withColumn("attributes", F.create_map(F.lit("age"), F.lit("40"))), SECOND)
    expected = {"ann": None, "bob": {"age": "40"}}
    assert {row["user_id"]: row["attributes"] for row in lake.read(USERS).collect()} == expected
    assert lake.spark.read.format("delta").load(lake.path(USERS)).columns == ["day", "user_id", "attributes"]


def test_a_column_of_another_type_than_its_contract_stops_the_night(spark, lake):
    rows = people(spark, FIRST, "ann")
    older = rows.withColumn("attributes", F.lit("age: 40"))
    older.write.format("delta").partitionBy("day").save(lake.path(USERS))
    told = r"raw\.users: attributes is string in the table at .*, and map<string,string> in its contract; delete"
    with pytest.raises(ValueError, match=told):
        put(lake, people(spark, SECOND, "bob"), SECOND)


def test_a_key_in_an_expression_is_not_in_the_plan(spark, capsys):
    key = bytes(range(64))
    spark.range(1).select(F.sha2(F.concat(F.lit(key), F.col("id").cast("string").cast("binary")), 256)).explain(True)
    assert key.hex().upper() not in capsys.readouterr().out.upper().replace(" ", "")
