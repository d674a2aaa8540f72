"""Who is erased is in no file of the lake, and doesn't come back: not by a rerun, a late night, or a bad line."""

import hashlib
import hmac
import os
import shutil
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

import schemas
from jobs import erase as erasing
from jobs.__main__ import main
from jobs.erased import Erased, ErasedMeanwhileError
from jobs.gate import judge
from jobs.lake import path
from jobs.staging import stage
from tests.jobs.conftest import FIRST, SECOND, USERS, names, people, put

DONE, LEFT, UNKNOWN = 0, 1, 3
LAST = date(2024, 5, 31)
MAPPING = """
[events]
files = "*/events.csv"
[events.columns]
ts = "at"
event_type = "what"
user_id = "who"
item_id = "sku"
quantity = "n"

[items]
files = "items.csv"
columns = { item_id = "sku", title = "name" }

[users]
files = "users.csv"
columns = { user_id = "who" }
attributes = ["age"]
"""
MADE = ["raw.events", "raw.items", "raw.users", "behaviour.log", "behaviour.histories"]


def alias(user):
    return hmac.new(os.environ["NIGHT_PSEUDONYM_KEY"].encode(), user.encode(), hashlib.sha256).hexdigest()[:32]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Two days of customer-ann and bob: purchases, a bad quantity, and a line that has too few columns."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "mapping.toml").write_text(MAPPING)
    (folder / "items.csv").write_text("sku,name\napple,An apple\nbread,Bread\n")
    (folder / "users.csv").write_text("who,age\ncustomer-ann,35\nbob,40\n")
    for day in (FIRST, SECOND):
        (folder / str(day)).mkdir()
        lines = [f"{day}T09:{n:02}:00Z,purchase,{who},apple,1" for n in range(20) for who in ("customer-ann", "bob")]
        lines += [f"{day}T10:00:00Z,purchase,customer-ann,bread,-1", f"{day}T10:00:00Z,view,customer-ann"]
        (folder / str(day) / "events.csv").write_text("\n".join(["at,what,who,sku,n", *lines]))
    return folder


@pytest.fixture(scope="module")
def night(shop, tmp_path_factory, spark):
    docs = str(tmp_path_factory.mktemp("docs"))

    def night(lake, day, *names):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NIGHT_DOCS", docs)
            words = ["--day", str(day), "--lake", str(lake), "--source", "folder", "--data", str(shop)]
            assert main([*(names or MADE), *words]) == 0

    return night


@pytest.fixture(scope="module")
def nights(night, tmp_path_factory):
    """Both days at once, and the events of the second once more: files of the first run are in the history."""
    lake = tmp_path_factory.mktemp("lake")
    night(lake, SECOND)
    night(lake, SECOND, "raw.events")
    return lake


@pytest.fixture
def lake_of_nights(nights, tmp_path):
    return shutil.copytree(nights, tmp_path / "lake")


def erase(lake, *users):
    return main(["erase", *(f"--user={user}" for user in users), "--lake", str(lake)])


def rows(lake, name):
    return DeltaTable(path(str(lake), schemas.table(name))).to_pyarrow_table().to_pylist()


def traces(lake, *texts):
    """Files with one of the texts: in their bytes or, of Parquet, in their values."""
    found = []
    for file in (file for file in lake.rglob("*") if file.is_file()):
        told = file.read_bytes().decode("utf-8", "replace")
        told += str(pq.ParquetFile(file).read().to_pylist()) if file.suffix == ".parquet" else ""
        found += [str(file.relative_to(lake))] if any(text in told for text in texts) else []
    return found


def test_nothing_is_left_of_who_is_erased_and_others_keep_every_row(lake_of_nights, capsys):
    lake, ann = lake_of_nights, (alias("customer-ann"), "customer-ann")
    tables = [*MADE[:1], *MADE[2:5], "raw.rejects"]
    before = {name: rows(lake, name) for name in tables}
    folders = {"/".join(file.split("/")[:2]) for file in traces(lake, *ann)}
    assert folders == {name.replace(".", "/") for name in tables}
    assert erase(lake, "customer-ann") == DONE
    assert traces(lake, *ann) == []
    for name, then in before.items():
        others = [row for row in then if not any(text in str(row) for text in ann)]
        assert Counter(map(str, rows(lake, name))) == Counter(map(str, others)), name
    told = capsys.readouterr().out
    assert "customer-ann" not in told
    assert ann[0] not in told
    removed = {line.split()[0]: line.split()[1] for line in told.splitlines() if "rows removed" in line}
    # of each day 20 purchases, the bad one, and the line that has too few columns
    assert {name: removed[name] for name in tables} == {
        "raw.events": "40",
        "raw.users": "1",
        "behaviour.log": "40",
        "behaviour.histories": "1",
        "raw.rejects": "4",
    }
    assert told.splitlines()[-1].endswith("none of them with a trace left")

    assert erase(lake, "customer-ann") == DONE
    assert "      0 rows removed" in capsys.readouterr().out


def test_a_night_made_again_rejects_the_rows_of_who_was_erased(lake_of_nights, night, spark):
    lake = lake_of_nights
    assert erase(lake, "customer-ann") == DONE
    night(lake, SECOND, "raw.events", "raw.users")
    assert traces(lake, alias("customer-ann"), "customer-ann") == []
    refused = [row for row in rows(lake, "raw.rejects") if row["day"] == SECOND]
    told = Counter((row["table"], row["rule"], row["source_row"], row["user_id"]) for row in refused)
    # 20 purchases, the bad one and the line that couldn't be split
    assert told == {("raw.events", "erased", "{}", None): 22, ("raw.users", "erased", "{}", None): 1}
    checked = [row for row in rows(lake, "insight.quality") if row["table"] == "raw.events" and row["day"] == SECOND]
    assert {(row["rows_in"], row["rows_kept"], row["rows_rejected"]) for row in checked} == {(42, 20, 22)}
    assert {row["user_id"] for row in rows(lake, "raw.events")} == {"bob"}


def test_an_unknown_id_is_told_and_kept_out_and_an_empty_one_refused(lake_of_nights, capsys, caplog):
    assert erase(lake_of_nights, "eve", "bob") == UNKNOWN
    told = capsys.readouterr().out
    assert "the lake had no row of 'eve'" in told
    assert "'bob'" not in told
    marks = {hashlib.sha256(alias(user).encode()).hexdigest() for user in ("bob", "eve")}
    assert {(row["day"], row["mark"]) for row in rows(lake_of_nights, "raw.erased")} == {
        (SECOND, each) for each in marks
    }
    assert erase(lake_of_nights, "eve") == DONE  # who was erased before is not unknown
    assert erase(lake_of_nights, "") == 2
    assert erase(lake_of_nights / "no lake", "bob") == 2
    assert "nobody to erase; is it the lake's folder?" in caplog.text


def test_an_erasure_that_was_cut_off_is_ended_by_the_next(lake_of_nights, monkeypatch):
    def cut_off(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(erasing, "_purge", cut_off)
        with pytest.raises(KeyboardInterrupt):
            erase(lake_of_nights, "customer-ann")
    assert traces(lake_of_nights, "customer-ann") != []
    assert erase(lake_of_nights, "customer-ann") == DONE
    assert traces(lake_of_nights, alias("customer-ann"), "customer-ann") == []


def test_what_is_left_is_named_and_fails(lake_of_nights, capsys):
    (lake_of_nights / "notes").mkdir()
    (lake_of_nights / "notes/export.csv").write_text(f"7,{alias('customer-ann')}\n")
    writing = lake_of_nights / "raw/events/night-1/day=2024-05-02/part.parquet"
    writing.parent.mkdir(parents=True)
    writing.touch()
    assert erase(lake_of_nights, "customer-ann") == LEFT
    told = capsys.readouterr().out
    assert "LEFT in notes/export.csv;" in told
    assert "LEFT in raw/events/night-1/day=2024-05-02/part.parquet, or not: it can't be read" in told
    assert told.splitlines()[-1].endswith("2 of them with a trace left")


def test_a_log_that_holds_the_id_is_shortened_and_the_table_goes_on(spark, lake, frame):
    """As other writers leave it: least and largest values of a file in its entry, and a condition."""
    put(lake, people(spark, FIRST, "ann", "bob"), FIRST)
    where, more = lake.path(USERS), {"day": [SECOND], "user_id": ["ann"], "attributes": [None]}
    schema = to_arrow_schema(StructType.fromDDL(USERS.ddl))
    DeltaTable(where).alter.set_table_properties({"delta.dataSkippingNumIndexedCols": "5"})
    write_deltalake(where, pa.table(more, schema), mode="append")
    DeltaTable(where).delete(f"user_id = 'ann' AND day = DATE '{SECOND}'")
    log = Path(where, "_delta_log")
    assert {file.name for file in log.glob("*.json") if "ann" in file.read_text()} == {f"{n:020}.json" for n in (3, 4)}
    assert erase(lake.uri, "ann") == DONE
    assert {file.name for file in log.iterdir() if file.name[0] == "0"} == {
        "00000000000000000005.checkpoint.parquet",
        "00000000000000000005.json",
    }
    assert traces(Path(lake.uri), "ann") == []
    assert names(lake) == ["bob"]
    put(lake, people(spark, SECOND, "bob"), SECOND)
    assert names(lake) == ["bob", "bob"]


def test_a_night_that_began_before_the_erasure_publishes_nothing(spark, lake, monkeypatch):
    put(lake, people(spark, FIRST, "bob"), FIRST)
    erased = Erased.read(lake.uri)
    with stage(judge(people(spark, SECOND, "ann", "bob"), USERS), USERS, lake) as staged:
        erase(lake.uri, "ann")
        with pytest.raises(ErasedMeanwhileError, match=r"raw\.users: somebody was erased .* run it again"):
            staged.publish(FIRST, SECOND, {}, erased)
    assert names(lake) == ["bob"]

    # the tombstones were looked at, and then, before the commit, the erasure ran whole
    looked = Erased.check

    def and_then(self, table):
        looked(self, table)
        monkeypatch.undo()
        erase(lake.uri, "cy")

    monkeypatch.setattr(Erased, "check", and_then)
    with pytest.raises(OSError, match=r"raw\.users: another run wrote the table at the same moment"):
        put(lake, people(spark, SECOND, "cy"), SECOND)
    assert names(lake) == ["bob"]
    assert traces(Path(lake.uri), alias("cy")) == []


def test_a_row_that_could_not_be_read_names_a_person_by_its_words(spark, lake):
    texts = [f'{{"_line":"{{\\"at\\":1,\\"who\\":\\"{who}\\", cut"}}' for who in ("ann", "joann", "an n")]
    rejects = schemas.table("raw.rejects")
    where = {"day": [FIRST] * 3, "table": ["raw.events"] * 3, "source_row": texts}
    columns = {name: where.get(name, [None] * 3) for name in rejects.column_names}
    schema = to_arrow_schema(StructType.fromDDL(rejects.ddl))
    write_deltalake(path(lake.uri, rejects), pa.table(columns, schema), partition_by=["table"])
    assert erase(lake.uri, "ann", "an n") == UNKNOWN  # no column said who it was
    assert [row["source_row"] for row in rows(lake.uri, "raw.rejects")] == [texts[1]]

    # and when the night reads them again
    unread = spark.createDataFrame(
        [(FIRST, None, None, "readable_row", "cut", text) for text in texts],
        f"{USERS.ddl}, _rule string, _reason string, _source string",
    )
    made = Erased.read(lake.uri).rejecting(unread, USERS).collect()
    assert [(row["_rule"], row["_source"]) for row in made] == [
        ("erased", "{}"),
        ("readable_row", texts[1]),
        ("erased", "{}"),
    ]


def test_what_upkeep_rewrote_is_searched_and_erased_too(lake):
    rejects = schemas.table("raw.rejects")
    old, new = LAST - timedelta(days=rejects.keep_days), LAST
    texts = [f'{{"who":"{who}"}}' for who in ("past", "1042", "1043")]
    where = {"day": [old, new, new], "table": ["raw.events"] * 3, "source_row": texts}
    columns = {name: where.get(name, [None] * 3) for name in rejects.column_names}
    columns["user_id"] = [alias(who) for who in ("past", "1042", "1043")]
    schema = to_arrow_schema(StructType.fromDDL(rejects.ddl))
    write_deltalake(path(lake.uri, rejects), pa.table(columns, schema), partition_by=["table"])
    assert main(["upkeep", "--day", str(LAST), "--lake", lake.uri]) == 0
    assert [row["source_row"] for row in rows(lake.uri, "raw.rejects")] == texts[1:]
    assert erase(lake.uri, "1042") == DONE
    assert [row["source_row"] for row in rows(lake.uri, "raw.rejects")] == texts[2:]
    assert traces(Path(lake.uri), '"1042', alias("1042")) == []
