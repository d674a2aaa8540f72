"""Nights go when their time is over, small files are joined, and what was read lately stays readable."""

import os
import time
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

import schemas
from jobs.__main__ import main
from jobs.lake import path
from jobs.night import Job, Night
from jobs.runner import _require_kept
from schemas.raw import UNDATED
from tests.jobs.conftest import USERS, names

REJECTS = schemas.table("raw.rejects")
LAST = date(2024, 5, 31)
KEPT = LAST - timedelta(days=USERS.keep_days - 1)


def write(lake, contract, **values):
    """One row, in a file of its own."""
    schema = to_arrow_schema(StructType.fromDDL(contract.ddl), timezone="UTC")
    row = pa.Table.from_pylist([{name: values.get(name) for name in contract.column_names}], schema)
    write_deltalake(path(lake, contract), row, mode="append", partition_by=list(contract.partition))


def upkeep(lake, day=LAST):
    return main(["upkeep", "--day", str(day), "--lake", lake])


def told(capsys, name):
    """The numbers of the table's line: nights, rows, small files joined, old files deleted."""
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(name)]
    return [int(word) for word in line.replace(",", " ").split() if word.isdigit()]


def test_nights_past_their_retention_go_and_small_files_are_joined(spark, lake, capsys):
    for day, who in [(KEPT - timedelta(days=1), "gone"), (KEPT, "ann"), (LAST, "bob"), (LAST, "cy"), (UNDATED, "?")]:
        write(lake.uri, USERS, day=day, user_id=who)
    assert upkeep(lake.uri) == 0
    assert told(capsys, "raw.users") == [1, 1, 2, 0]
    assert names(lake) == ["?", "ann", "bob", "cy"]
    files = pa.table(DeltaTable(path(lake.uri, USERS)).get_add_actions()).to_pylist()
    assert sorted(file["num_records"] for file in files) == [1, 1, 2]
    # the log would keep the least and largest id of a file for good
    (joined,) = [file for file in files if file["num_records"] == 2]
    assert not any((joined.get("min") or {}).values())
    assert DeltaTable(path(lake.uri, USERS), version=4).to_pyarrow_table().num_rows == 5

    assert upkeep(lake.uri) == 0
    assert told(capsys, "raw.users") == [0, 0, 0, 0]


def test_rejects_which_are_not_split_by_night_go_too_but_for_those_without_a_day(lake, capsys):
    cut = LAST - timedelta(days=REJECTS.keep_days)
    for day in (cut, cut + timedelta(days=1), UNDATED):
        write(lake.uri, REJECTS, day=day, table="raw.events")
    assert upkeep(lake.uri) == 0
    assert told(capsys, "raw.rejects")[:2] == [0, 1]
    left = DeltaTable(path(lake.uri, REJECTS)).to_pyarrow_table()["day"].to_pylist()
    assert sorted(left) == [UNDATED, cut + timedelta(days=1)]


def test_files_that_left_their_table_stay_a_week_and_so_does_what_no_commit_names(lake, capsys):
    write(lake.uri, USERS, day=LAST, user_id="ann")
    stray = Path(path(lake.uri, USERS), "night-0/day=2024-05-31/part.parquet")
    stray.parent.mkdir(parents=True)
    for age, deleted in ((6, 0), (8, 1)):
        stray.write_bytes(b"as a night that was cut off leaves it")
        os.utime(stray, (time.time() - age * 86400,) * 2)
        assert upkeep(lake.uri) == 0
        assert told(capsys, "raw.users")[-1] == deleted
        assert stray.exists() == (not deleted)
    assert names(lake) == ["ann"]


def test_a_folder_that_is_no_lake_is_named(tmp_path, caplog):
    assert upkeep(str(tmp_path / "nowhere")) == 2
    assert "is it the lake's folder?" in caplog.text


def test_a_night_is_not_made_again_from_rows_that_upkeep_dropped(lake):
    """It would put nothing in the place of what the log has."""
    log, events = Job.named("behaviour.log"), schemas.table("raw.events")
    old = LAST - timedelta(days=events.keep_days)
    write(lake.uri, log.table, day=old, arrived=old)
    write(lake.uri, events, day=LAST)
    with pytest.raises(
        ValueError, match=rf"raw\.events no longer has the night {old}.* make raw\.events for that night"
    ):
        _require_kept(log, lake, Night(old, lake.uri, "run"))
    _require_kept(log, lake, Night(old + timedelta(days=1), lake.uri, "run"))
    write(lake.uri, events, day=old)
    _require_kept(log, lake, Night(old, lake.uri, "run"))


def test_pages_of_more_than_a_month_ago_go(spark, lake, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("NIGHT_PAGES", str(tmp_path / "pages"))
    (tmp_path / "pages").mkdir()
    for name in ("2024-04-30.html", "2024-05-01.html", "notes.html"):
        (tmp_path / "pages" / name).write_text("", encoding="utf-8")
    write(lake.uri, USERS, day=LAST, user_id="ann")
    assert upkeep(lake.uri) == 0
    assert sorted(page.name for page in (tmp_path / "pages").iterdir()) == ["2024-05-01.html", "notes.html"]
    assert "1 pages past retention" in capsys.readouterr().out
