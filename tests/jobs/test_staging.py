"""A night's rows are seen when they are published, all at once, or never."""

from pathlib import Path

import pytest
from deltalake import DeltaTable

from jobs.erased import Erased
from jobs.staging import stage
from tests.jobs.conftest import FIRST, SECOND, USERS, names, people, put


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
    with stage(frame, USERS, lake) as staged:
        assert names(lake) == ["ann"]
        assert [row["user_id"] for row in staged.kept.collect()] == ["bob"]
        assert [tuple(row) for row in staged.rejected.select("user_id", "_rule", "_reason").collect()] == [
            ("bad", "user_id", "why")
        ]
        assert (staged.count(kept=True), staged.count(kept=False)) == (1, 1)
        staged.publish(FIRST, SECOND, {}, Erased.read(lake.uri))
    assert names(lake) == ["ann", "bob"]
    assert not list(Path(lake.path(USERS)).rglob("day=__*"))

    with pytest.raises(RuntimeError), stage(frame, USERS, lake):
        raise RuntimeError("the audit found something")
    assert names(lake) == ["ann", "bob"]
    assert len(list(Path(lake.path(USERS)).glob("night-*"))) == 2


def test_of_two_runs_that_publish_at_the_same_moment_one_is_told_so(spark, lake, monkeypatch):
    put(lake, people(spark, FIRST, "ann"), FIRST)
    commit = DeltaTable.create_write_transaction

    def after_another(*args, **kwargs):
        monkeypatch.undo()
        put(lake, people(spark, SECOND, "cy"), SECOND, "the faster")
        return commit(*args, **kwargs)

    monkeypatch.setattr(DeltaTable, "create_write_transaction", after_another)
    with pytest.raises(OSError, match=r"raw\.users: another run wrote the table at the same moment"):
        put(lake, people(spark, SECOND, "bob"), SECOND)
    assert names(lake) == ["ann", "cy"]
    assert len(list(Path(lake.path(USERS)).glob("night-*"))) == 2
