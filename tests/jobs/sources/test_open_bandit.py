from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from jobs.sources import open_bandit

REAL = Path(__file__).parents[4] / "shared/data/open_bandit"
USER = ",".join(f"user_feature_{number}" for number in range(4))


@pytest.fixture
def data(tmp_path):
    for policy, campaign, extra in (("random", "men", ""), ("bts", "women", ",user-item_affinity_0")):
        folder = tmp_path / policy / campaign
        folder.mkdir(parents=True)
        folder.joinpath(f"{campaign}.csv").write_text(
            f",timestamp,item_id,position,click,propensity_score,{USER}{extra}\n"
            f"0,2019-11-24 00:00:20.5+00:00,14,3,1,0.25,a,b,c,d{',0.0' if extra else ''}\n"
            f"1,noon,14,3,0,0.25,a,b,c,d{',0.0' if extra else ''}\n"
        )
        folder.joinpath("item_context.csv").write_text(",item_id,item_feature_0\n0,14,0.5\n1,2,0.5\n")
    return str(tmp_path)


def test_impressions(spark, data):
    rows = open_bandit.events(spark, data, None, date(2019, 11, 24)).orderBy("policy").collect()
    bts, random = [row for row in rows if not row["_rule"]]
    assert (random["event_id"], random["policy"], random["campaign_id"]) == ("random-men-0", "random", "men")
    assert (random["item_id"], bts["item_id"]) == ("men-14", "women-14")
    assert (bts["event_type"], str(bts["ts"]), bts["rank"]) == ("impression", "2019-11-24 00:00:20.500000", 3)
    assert (bts["clicked"], bts["propensity"]) == (True, 0.25)
    assert random["user_id"] == bts["user_id"]
    assert {row["_reason"] for row in rows if row["_rule"]} == {"timestamp 'noon' is no time"}


def test_items(spark, data):
    made = open_bandit.items(spark, data, None, date(2019, 11, 24)).collect()
    assert {row["item_id"] for row in made} == {"men-14", "men-2", "women-14", "women-2"}
    assert {(row["title"], row["category_path"]) for row in made} == {(None, None)}


@pytest.mark.skipif(not REAL.exists(), reason=f"the Open Bandit sample isn't at {REAL}")
def test_the_public_sample(spark):
    rows = open_bandit.events(spark, str(REAL), None, date(2019, 11, 30))
    found = rows.groupBy("policy").agg(F.count("*"), F.sum(F.col("clicked").cast("int")), F.count("_rule")).collect()
    assert {tuple(row) for row in found} == {("random", 10_000, 46, 0), ("bts", 10_000, 69, 0)}
    assert open_bandit.items(spark, str(REAL), None, date(2019, 11, 30)).count() == 34
