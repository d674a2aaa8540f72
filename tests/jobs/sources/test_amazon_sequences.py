import gzip
import json
from datetime import date
from pathlib import Path

import pytest

from jobs.sources import amazon

REAL = Path(__file__).parents[4] / "shared/data/amazon/Beauty.txt"
LAST = date(2014, 7, 23)


@pytest.fixture
def data(tmp_path):
    (tmp_path / "Toys.txt").write_text("1 5 6 7\n2 6 5\n3 7\n")
    gaps = "1 5 6 7\t0 0 172800\n2 6 5\t0\n"
    (tmp_path / "Toys_gaps.txt.gz").write_bytes(gzip.compress(gaps.encode()))
    (tmp_path / "Toys_titles.csv").write_text('s3_id,asin,title\n5,B5,"A ""fine"" ball"\n')
    return str(tmp_path / "Toys.txt")


def test_order_and_gaps_end_on_the_last_day(spark, data):
    rows = amazon.events(spark, data, None, LAST)
    kept = rows.where("_rule IS NULL").orderBy("ts").collect()
    assert [(row["event_id"], row["item_id"], str(row["ts"]), row["event_type"]) for row in kept] == [
        ("1-0", "5", "2014-07-21 00:00:00", "review"),
        ("1-1", "6", "2014-07-21 00:00:01", "review"),
        ("1-2", "7", "2014-07-23 00:00:00", "review"),
    ]
    bad = rows.where("_rule IS NOT NULL").collect()
    assert {json.loads(row["_source"])["line"] for row in bad} == {"2 6 5", "3 7"}
    assert {row["_reason"] for row in bad} == {"the line needs a gap of 0 or more seconds for each of its items"}


def test_items_have_a_title_where_the_file_beside_has_one(spark, data):
    rows = amazon.items(spark, data, None, LAST).collect()
    assert {row["item_id"]: row["title"] for row in rows} == {"5": 'A "fine" ball', "6": None, "7": None}
    assert amazon.reviews(spark, data, None, LAST).collect() == []


def test_without_gaps_there_are_no_times(spark, data):
    Path(data).with_name("Toys_gaps.txt.gz").unlink()
    with pytest.raises(ValueError, match=r"sequences need both NAME.txt and NAME_gaps.txt.gz"):
        amazon.events(spark, data, None, LAST)


@pytest.mark.skipif(not REAL.exists(), reason=f"the Amazon sequences aren't at {REAL.parent}")
def test_the_public_file(spark):
    rows = amazon.events(spark, str(REAL), None, LAST)
    found = rows.selectExpr(
        "count(*)", "count(DISTINCT user_id)", "count(DISTINCT item_id)", "count(_rule)", "max(ts) < '2014-07-24'"
    )
    assert tuple(found.first()) == (198_502, 22_363, 12_101, 0, True)
