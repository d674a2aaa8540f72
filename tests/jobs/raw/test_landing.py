from datetime import date

import pytest

from jobs.raw.campaigns import campaigns
from jobs.raw.items import items
from jobs.raw.promotions import promotions
from jobs.raw.reviews import reviews
from jobs.raw.users import users

NIGHT = date(2017, 12, 31)


@pytest.mark.parametrize(
    ("job", "columns", "first", "again"),
    [
        (items, "item_id STRING, title STRING", ("1", "a"), ("1", "b")),
        (users, "user_id STRING, attributes MAP<STRING, STRING>", ("1", {"age": "1"}), ("1", {"age": "2"})),
        (campaigns, "campaign_id STRING, user_id STRING, end_day DATE", ("1", None, NIGHT), ("1", None, None)),
        (reviews, "review_id STRING, text STRING", ("1", "a"), ("1", "b")),
    ],
)
def test_of_a_key_that_comes_twice_in_a_night_one_row_is_kept(spark, job, columns, first, again):
    made = job(spark.createDataFrame([again, first, again], columns), day=NIGHT).orderBy("_rule").collect()
    assert [row["_rule"] for row in made] == [None, "duplicate", "duplicate"]
    assert {row["day"] for row in made} == {NIGHT}
    assert "came twice in a night; one is kept" in made[1]["_reason"]
    reordered = job(spark.createDataFrame([first, again, again], columns), day=NIGHT).where("_rule IS NULL")
    assert reordered.collect() == [made[0]]


def test_a_bad_row_does_not_push_out_the_good_one(spark):
    rows = spark.createDataFrame([("1", "cheap"), ("1", "3")], "item_id STRING, price STRING")
    made = items(rows, day=NIGHT).orderBy("price").collect()
    assert [(row["price"], row["_rule"]) for row in made] == [(None, "readable_price"), (3.0, None)]


def test_an_item_may_have_two_places_in_a_store(spark):
    rows = spark.sql("""
        SELECT DATE'2017-12-25' AS day, 10 AS store_id, 7 AS item_id, DATE'2017-12-25' AS start_day,
               DATE'2017-12-31' AS end_day, explode(array('9', NULL)) AS display, 'A' AS mailer
    """)
    made = promotions(rows, day=NIGHT).collect()
    assert {(row["store_id"], row["item_id"], row["display"], row["_rule"]) for row in made} == {
        ("10", "7", "9", None),
        ("10", "7", None, None),
    }
