"""One commit replaces one night, and nothing else."""

from datetime import date, timedelta
from pathlib import Path

import pytest

import schemas
from jobs.lake import Lake, signed

USERS = schemas.table("raw.users")
FIRST, SECOND = date(2024, 5, 1), date(2024, 5, 2)


def people(spark, day, *names):
    return spark.createDataFrame([(day, name, {"age": "35-44"}) for name in names], USERS.ddl)


def put(lake, frame, day, run_id="run"):
    about = {"day": day.isoformat(), "job": USERS.name, "run_id": run_id}
    judged = frame.selectExpr("*", *(f"CAST(null AS STRING) AS {name}" for name in ("_rule", "_reason", "_source")))
    with lake.staged(judged, USERS) as staged:
        staged.publish(day - timedelta(days=1), day, about)


def names(lake, **nights):
    return sorted(row["user_id"] for row in lake.read(USERS, **nights).collect())


@pytest.fixture
def lake(spark, tmp_path):
    return Lake(spark, str(tmp_path))


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


def test_rows_outside_the_night_are_refused_and_the_table_stays_as_it_was(spark, lake):
    put(lake, people(spark, FIRST, "ann"), FIRST)
    with pytest.raises(ValueError, match=r"raw\.users: day is 2024-05-02 in rows of the nights after 2024-04-30"):
        put(lake, people(spark, SECOND, "late"), FIRST)
    assert names(lake) == ["ann"]
    assert len(list(Path(lake.path(USERS)).glob("night-*"))) == 1


def test_staged_rows_are_invisible_until_they_are_published_and_rejected_ones_never_are(spark, lake):
    put(lake, people(spark, FIRST, "ann"), FIRST)
    rule = "CASE WHEN user_id = 'bad' THEN 'user_id' END AS _rule"
    frame = people(spark, SECOND, "bob", "bad").selectExpr("*", rule, "'why' AS _reason", "'{}' AS _source")
    with lake.staged(frame, USERS) as staged:
        assert names(lake) == ["ann"]
        assert [row["user_id"] for row in staged.kept.collect()] == ["bob"]
        assert [tuple(row) for row in staged.rejected.select("user_id", "_rule", "_reason").collect()] == [
            ("bad", "user_id", "why")
        ]
        assert (staged.count(kept=True), staged.count(kept=False)) == (1, 1)
        staged.publish(FIRST, SECOND, {})
    assert names(lake) == ["ann", "bob"]
    assert not list(Path(lake.path(USERS)).rglob("kept=false"))

    with pytest.raises(RuntimeError), lake.staged(frame, USERS):
        raise RuntimeError("the audit found something")
    assert names(lake) == ["ann", "bob"]
    assert len(list(Path(lake.path(USERS)).glob("night-*"))) == 2


def test_a_missing_table_and_a_missing_column_are_named(spark, lake):
    with pytest.raises(ValueError, match=r"raw\.users: no Delta table at"):
        lake.read(USERS)
    people(spark, FIRST, "ann").drop("attributes").write.format("delta").save(lake.path(USERS))
    with pytest.raises(ValueError, match=r"raw\.users: .* has no column attributes"):
        lake.read(USERS)
    assert not signed(lake.uri, schemas.table("raw.items"), FIRST, "run")


def test_a_key_in_an_expression_is_not_in_the_plan(spark, capsys):
    from pyspark.sql import functions as F

    key = bytes(range(64))
    spark.range(1).select(F.sha2(F.concat(F.lit(key), F.col("id").cast("string").cast("binary")), 256)).explain(True)
    assert key.hex().upper() not in capsys.readouterr().out.upper().replace(" ", "")
