import json
from datetime import date

import pytest

from jobs.sources import retailrocket

# 2015-06-02 05:02:12.117 UTC
AT = 1433221332117
DAY_LATER = AT + 86_400_000


@pytest.fixture
def data(tmp_path):
    (tmp_path / "events.csv").write_text(
        "timestamp,visitorid,event,itemid,transactionid\n"
        f"{AT},257597,view,355908,\n{AT},257597,transaction,355908,4000\n{DAY_LATER},1,addtocart,7,\n"
        f"{AT},1,hover,7,\nnever,1,view,7,\n"
    )
    for part, rows in (
        (1, f"{AT},7,categoryid,3\n{DAY_LATER},7,categoryid,1\n{AT},7,888,n5.000\n"),
        (2, f"{AT - 1},7,available,1\n{AT},7,available,0\n{AT},8,available,1\nnever,9,available,1\n"),
    ):
        (tmp_path / f"item_properties_part{part}.csv").write_text(f"timestamp,itemid,property,value\n{rows}")
    (tmp_path / "category_tree.csv").write_text("categoryid,parentid\n3,2\n2,1\n1,\n")
    return str(tmp_path)


def test_events(spark, data):
    made = retailrocket.events(spark, data, None, date(2015, 6, 2)).collect()
    kept = {
        (row["user_id"], row["event_type"], row["item_id"], row["basket_id"], str(row["ts"]))
        for row in made
        if not row["_rule"]
    }
    assert kept == {
        ("257597", "view", "355908", None, "2015-06-02 05:02:12.117000"),
        ("257597", "purchase", "355908", "4000", "2015-06-02 05:02:12.117000"),
    }
    assert {(row["_rule"], row["_reason"], row["day"]) for row in made if row["_rule"]} == {
        ("known_event_type", "event 'hover' is none of the three", date(2015, 6, 2)),
        ("readable_ts", "timestamp 'never' is no time", None),
    }


def test_items_are_as_they_were_at_the_end_of_the_day(spark, data):
    def items(day):
        rows = retailrocket.items(spark, data, None, day).collect()
        bad = [json.loads(row["_source"])["itemid"] for row in rows if row["_rule"]]
        return {row["item_id"]: (row["category_path"], row["available"]) for row in rows if not row["_rule"]}, bad

    assert items(date(2015, 6, 2)) == ({"7": (["1", "2", "3"], False), "8": (None, True)}, ["9"])
    assert items(date(2015, 6, 3))[0]["7"] == (["1"], False)


def test_a_circle_of_categories_is_an_error(spark, data):
    with open(f"{data}/category_tree.csv", "a") as tree:
        tree.write("4,5\n5,4\n")
    with pytest.raises(ValueError, match=r"category_tree.csv: category 4 is its own ancestor"):
        retailrocket.items(spark, data, None, date(2015, 6, 2))
