import json
from datetime import date

from jobs.raw.events import events

NIGHT = date(2017, 12, 31)


def test_an_event_without_an_id_gets_one_from_what_it_says(spark):
    rows = spark.sql("""
        SELECT * FROM VALUES
            (DATE'2017-12-31', 'view', TIMESTAMP'2017-12-31 10:00:00', 'ann', '1', 'mine'),
            (DATE'2017-12-31', 'view', TIMESTAMP'2017-12-31 10:00:00', 'ann', '1', NULL),
            (DATE'2017-12-30', 'view', TIMESTAMP'2017-12-31 10:00:00', 'ann', '1', ''),
            (DATE'2017-12-31', 'view', TIMESTAMP'2017-12-31 10:00:00', 'ann', NULL, NULL),
            (DATE'2017-12-31', 'view', TIMESTAMP'2017-12-31 10:00:00', 'ann1', NULL, NULL)
            AS rows(day, event_type, ts, user_id, item_id, event_id)
    """)
    ids = [row["event_id"] for row in events(rows, day=NIGHT).collect()]
    assert ids[0] == "mine"
    assert ids[1] == ids[2]  # one event that arrived twice
    assert len(set(ids[1:])) == 3
    without = events(rows.drop("event_id").withColumnRenamed("item_id", "basket_id"), day=NIGHT).collect()
    assert without[1]["event_id"] != ids[1]  # the same value in another column says something else
    assert without[3]["event_id"] == ids[3]  # columns that are null take no part


def test_what_a_source_lacks_is_null_and_what_does_not_cast_is_rejected(spark):
    rows = spark.createDataFrame(
        [
            (NIGHT, "purchase", "2017-12-31 10:00:00", "ann", 7, "1.5"),
            (NIGHT, "purchase", "2017-12-31", "bob", 7, "lots"),
        ],
        "day date, event_type string, ts string, user_id string, item_id bigint, quantity string",
    )
    good, bad = events(rows, day=NIGHT).orderBy("user_id").collect()
    assert (good["item_id"], good["quantity"], good["amount"], good["_rule"]) == ("7", 1.5, None, None)
    assert (bad["_rule"], bad["_reason"]) == ("readable_quantity", "quantity: 'lots' is no number")
    assert json.loads(bad["_source"])["quantity"] == "lots"


def test_a_row_without_a_readable_day_keeps_none(spark):
    rows = spark.sql("SELECT CAST(NULL AS DATE) AS day, 'readable_ts' AS _rule, 'why' AS _reason, '{}' AS _source")
    (row,) = events(rows, day=NIGHT).collect()
    assert (row["day"], row["_rule"], row["_reason"], row["_source"]) == (None, "readable_ts", "why", "{}")
