import json
from datetime import date

import pytest

from jobs.sources.typed import typed
from schemas import table


def test_values_that_do_not_cast_are_named_and_the_row_keeps_the_rest(spark):
    rows = spark.createDataFrame(
        [
            ("good", "1.5", "2", "yes", "3.0"),
            ("amount", "abc", "2", None, None),
            ("rank", "1", "2", None, "3.5"),
            ("clicked", " ", "", "maybe", None),
            ("both", "€5", "x", None, None),
        ],
        "user_id string, amount string, quantity string, clicked string, rank string",
    )
    made = {row["user_id"]: row for row in typed(rows, table("raw.events")).collect()}
    good = made["good"]
    assert (good["amount"], good["quantity"], good["clicked"], good["rank"]) == (1.5, 2.0, True, 3)
    assert (good["_rule"], good["_reason"], good["_source"]) == (None, None, None)
    assert (made["amount"]["_rule"], made["amount"]["_reason"]) == ("readable_amount", "amount: 'abc' is no number")
    assert made["amount"]["quantity"] == 2.0
    assert json.loads(made["amount"]["_source"]) == {"user_id": "amount", "amount": "abc", "quantity": "2"}
    assert made["rank"]["_reason"] == "rank: '3.5' is no whole number"
    assert (made["clicked"]["amount"], made["clicked"]["quantity"]) == (None, None)  # empty is absent, not wrong
    assert made["clicked"]["_reason"] == "clicked: 'maybe' is no boolean"
    assert made["both"]["_rule"] == "readable_quantity"  # the contract's first


def test_ids_stay_as_they_are_and_null_bytes_in_them_are_rejected(spark):
    rows = spark.createDataFrame([("007", "a\0b"), ("7", " x "), ("", "e")], "item_id string, user_id string")
    made = {row["user_id"]: row for row in typed(rows, table("raw.events")).collect()}
    assert [made[user]["item_id"] for user in ("a\0b", " x ", "e")] == ["007", "7", None]
    assert (made["a\0b"]["_rule"], made["a\0b"]["_reason"]) == ("readable_user_id", "user_id: a null byte in an id")
    assert json.loads(made["a\0b"]["_source"]) == {"item_id": "007", "user_id": "a\0b"}
    assert made[" x "]["_rule"] is None


def test_a_rule_of_the_source_comes_first_and_keeps_its_row(spark):
    rows = spark.createDataFrame(
        [("x", "own", "said so", '{"theirs": 1}'), ("x", None, None, '{"theirs": 2}'), ("1", None, None, "never read")],
        "amount string, _rule string, _reason string, _row string",
    )
    made = typed(rows, table("raw.events")).select("_rule", "_reason", "_source").collect()
    assert [tuple(row) for row in made] == [
        ("own", "said so", '{"theirs": 1}'),
        ("readable_amount", "amount: 'x' is no number", '{"theirs": 2}'),
        (None, None, None),
    ]


def test_casting_twice_changes_nothing(spark):
    rows = spark.createDataFrame([("x", "2017-12-31"), ("2", "2017-12-30")], "amount string, day string")
    once = typed(rows, table("raw.events"))
    assert typed(once, table("raw.events")).collect() == once.collect()
    assert once.where("amount = 2").first()["day"] == date(2017, 12, 30)


def test_a_list_where_the_contract_has_another_type_is_an_error(spark):
    rows = spark.createDataFrame([("a > b",)], "category_path string")
    with pytest.raises(ValueError, match=r"raw.items, column category_path: the source gives string"):
        typed(rows, table("raw.items"))
