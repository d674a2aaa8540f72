"""What a night says when the world around it fails, through the command line that every task starts."""

import logging
import resource

import pytest

from jobs.__main__ import main
from jobs.lake import Lake
from schemas import table

BAD_INPUT, MAY_PASS = 2, 1
MAPPING = """
[events]
files = "events.{format}"
[events.columns]
ts = "at"
event_type = "what"
user_id = "who"
item_id = "sku"

[items]
files = "items.csv"
columns = {{ item_id = "sku", title = "name" }}
"""


@pytest.fixture
def shop(tmp_path):
    """A folder with two days of one shopper's views."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "mapping.toml").write_text(MAPPING.format(format="csv"))
    lines = [f"2024-05-0{day}T09:00:00Z,view,ann,{item}" for day in (1, 2) for item in ("apple", "bread")]
    (folder / "events.csv").write_text("\n".join(["at,what,who,sku", *lines]))
    (folder / "items.csv").write_text("sku,name\napple,An apple\nbread,Bread\n")
    return folder


@pytest.fixture
def night(shop, tmp_path, monkeypatch, spark, caplog):
    """``night(names, ...)``: the exit code and what was logged as an error."""
    monkeypatch.setenv("NIGHT_DOCS", str(tmp_path / "docs"))

    def night(*names, day="2024-05-02", lake=None, source="folder", **given):
        caplog.clear()
        words = [*names, "--day", day, "--lake", lake or str(tmp_path / "lake"), "--source", source]
        words += ["--data", str(shop), *(f"--{name.replace('_', '-')}={value}" for name, value in given.items())]
        code = main(words)
        return code, "\n".join(record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR)

    return night


def test_the_night_of_this_shop_works_when_nothing_fails(night, spark, tmp_path):
    assert night("raw.events", "raw.items") == (0, "")
    assert Lake(spark, str(tmp_path / "lake")).read(table("raw.events")).count() == 4


@pytest.mark.parametrize("day", ["2024-04-30", "2024-05-03"])
def test_a_day_outside_the_data(night, shop, day):
    code, told = night("raw.events", day=day)
    assert code == BAD_INPUT
    assert told == f"{shop}: no data for {day}; it has 2024-05-01 to 2024-05-02: choose a day between"


def test_no_such_folder(night, shop):
    code, told = night("raw.events", data="/no/such/shop")
    assert code == BAD_INPUT
    assert told == "/no/such/shop has no mapping.toml: docs/bring-your-own-data.md shows one to copy"


def test_a_source_that_is_none(night):
    code, told = night("raw.events", source="files")
    assert code == BAD_INPUT
    assert told.startswith("no source is called 'files'; there are amazon, ")


def test_a_parquet_file_that_is_damaged_past_its_footer(night, shop, spark, tmp_path):
    rows = [(f"2024-05-02T09:00:{n % 60:02}Z", "view", f"user {n}", "apple") for n in range(20_000)]
    frame = spark.createDataFrame(rows, "at string, what string, who string, sku string")
    frame.coalesce(1).write.parquet(str(shop / "made"))
    (part,) = (shop / "made").glob("*.parquet")
    broken = bytearray(part.read_bytes())
    broken[1000:3000] = bytes(2000)
    (shop / "events.parquet").write_bytes(broken)
    (shop / "mapping.toml").write_text(MAPPING.format(format="parquet"))
    code, told = night("raw.events")
    assert code == BAD_INPUT
    path = f"{shop}/events.parquet"
    assert told == f"raw.events: the file {path} is damaged; deliver it again, then run the night again"
    assert not Lake(spark, str(tmp_path / "lake")).exists(table("raw.events"))


def test_a_lake_that_cannot_be_written(night):
    # not even root may make a folder there
    code, told = night("raw.events", lake="/sys/lake")
    assert code == MAY_PASS
    assert told.startswith("raw.events: the lake /sys/lake can't be written: ")


def test_a_full_disk_publishes_nothing(night, shop, spark, tmp_path):
    """The kernel refuses Spark's process files above a size, as a full disk would."""
    assert night("raw.events", "raw.items")[0] == 0
    lake = Lake(spark, str(tmp_path / "lake"))
    before = sorted(map(tuple, lake.read(table("raw.items")).collect()))
    items = [f"item {n},{n * 7919:x} of {n * 104729:x}" for n in range(20_000)]
    (shop / "items.csv").write_text("\n".join(["sku,name", "apple,An apple", "bread,Bread", *items]))
    java = spark._jvm.java.lang.ProcessHandle.current().pid()
    old = resource.prlimit(java, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    try:
        code, told = night("raw.items")
    finally:
        resource.prlimit(java, resource.RLIMIT_FSIZE, old)
    assert code == MAY_PASS
    assert "raw.items: file too large in " in told
    assert "nothing of the table's night was published" in told
    assert len(list((tmp_path / "lake/raw/items").glob("night-*"))) == 1
    assert sorted(map(tuple, lake.read(table("raw.items")).collect())) == before
    assert night("raw.items")[0] == 0  # with room again
    assert lake.read(table("raw.items")).count() == 20_002


def test_an_mlflow_that_does_not_answer(night, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    code, told = night("lists.vectors", model_version="1")
    assert code == MAY_PASS
    assert told.startswith("MLflow at http://127.0.0.1:9 does not answer: ")


@pytest.mark.parametrize("given", [{}, {"model_version": "none"}])
def test_no_champion(night, given):
    code, told = night("lists.vectors", **given)
    assert code == BAD_INPUT
    assert told.startswith("lists need a model: pass --model-version")


def test_the_page_of_a_night_without_lists(night, tmp_path):
    code, told = night("page")
    assert code == BAD_INPUT
    assert told == (
        f"lists.recommendations in {tmp_path}/lake has no lists for 2024-05-02: see the night's log, then rerun it"
    )
