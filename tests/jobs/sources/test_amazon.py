import gzip
import json
from datetime import date

import pytest

from jobs.sources import amazon

NIGHT = date(2014, 2, 28)
REVIEW_2014 = {
    "reviewerID": "A1",
    "asin": "0007",
    "overall": 5.0,
    "summary": "Nice",
    "reviewText": "Very nice",
    "unixReviewTime": 1393545600,
}
REVIEW_2018 = REVIEW_2014 | {"reviewerID": "A2", "verified": True, "style": {"Color:": "red"}}
REVIEW_2023 = {
    "user_id": "A3",
    "parent_asin": "P1",
    "asin": "C1",
    "rating": 4.0,
    "title": "Fine",
    "text": "Fine 🍵",
    "timestamp": 1393545600123,
}
META_2014 = "{'asin': '0007', 'title': \"it's\", 'price': 12.99, 'brand': 'B', 'categories': [['Home', 'Tea'], ['x']]}"
META_2018 = {"asin": "0008", "title": "T", "price": "$1,299.50", "category": ["Home"], "description": ["a", "b"]}
META_2023 = {"parent_asin": "P1", "title": "P", "price": None, "categories": [], "main_category": "All", "store": "S"}


@pytest.fixture
def data(tmp_path):
    reviews = [json.dumps(review) for review in (REVIEW_2014, REVIEW_2018, REVIEW_2023)] + ['{"reviewerID": "A4"']
    (tmp_path / "Beauty_5.json.gz").write_bytes(gzip.compress("\n".join(reviews).encode()))
    odd = json.dumps({"asin": "0009", "price": "$5.00 - $9.00", "category": []})
    metas = [META_2014, json.dumps(META_2018), json.dumps(META_2023), odd]
    (tmp_path / "meta_Beauty.jsonl").write_text("\n".join(metas))
    return str(tmp_path)


def test_the_three_formats_of_reviews(spark, data):
    rows = amazon.reviews(spark, data, None, NIGHT).collect()
    assert {
        (row["user_id"], row["item_id"], row["rating"], row["title"], row["text"], str(row["ts"]))
        for row in rows
        if not row["_rule"]
    } == {
        ("A1", "0007", 5.0, "Nice", "Very nice", "2014-02-28 00:00:00"),
        ("A2", "0007", 5.0, "Nice", "Very nice", "2014-02-28 00:00:00"),
        ("A3", "P1", 4.0, "Fine", "Fine 🍵", "2014-02-28 00:00:00.123000"),
    }
    (broken,) = [row for row in rows if row["_rule"]]
    assert (broken["_rule"], json.loads(broken["_source"])) == ("readable_row", {"_line": '{"reviewerID": "A4"'})


def test_a_review_is_an_event(spark, data):
    rows = amazon.events(spark, data, None, NIGHT).where("_rule IS NULL").collect()
    assert {(row["event_type"], row["user_id"], row["item_id"], row["day"], row["amount"]) for row in rows} == {
        ("review", "A1", "0007", NIGHT, None),
        ("review", "A2", "0007", NIGHT, None),
        ("review", "A3", "P1", NIGHT, None),
    }
    with pytest.raises(ValueError, match="no data for 2014-03-01; it has 2014-02-28 to 2014-02-28"):
        amazon.events(spark, data, None, date(2014, 3, 1))


def test_the_three_formats_of_products(spark, data):
    rows = amazon.items(spark, data, None, NIGHT).collect()
    assert {
        row["item_id"]: (row["title"], row["brand"], row["price"], row["category_path"], row["description"])
        for row in rows
    } == {
        "0007": ("it's", "B", 12.99, ["Home", "Tea"], None),
        "0008": ("T", None, 1299.5, ["Home"], "a b"),
        "P1": ("P", "S", None, ["All"], None),
        "0009": (None, None, None, None, None),
    }


def test_a_folder_without_products(spark, tmp_path):
    (tmp_path / "Beauty_5.json").write_text(json.dumps(REVIEW_2014))
    with pytest.raises(ValueError, match=r"has no meta_\* file in JSON lines"):
        amazon.items(spark, str(tmp_path), None, NIGHT)
