"""The suites that the contract gives."""

import schemas
from schemas.contract import Column, Table
from schemas.expectations import least_rows, row_rules, suite, unique_columns

SHOP = Table(
    name="raw.shop",
    doc="A table for tests.",
    columns=(
        Column("day", "date", "the night", required=True),
        Column("id", "string", "an id", required=True, max_length=3),
        Column("kind", "string", "a kind", one_of=("it's", "that")),
        Column("price", "double", "a price", minimum=0, maximum=100),
        Column("share", "double", "a share", above=0),
        Column("rank", "int", "a rank", minimum=1),
    ),
    key=("id",),
    least_share=0.5,
    rows=(("cheap_share", "share < price"),),
)


def test_row_rules_come_in_order_required_first():
    assert [(rule.name, rule.broken) for rule in row_rules(SHOP)] == [
        ("day", "`day` IS NULL"),
        ("id", "`id` IS NULL"),
        ("id", "length(`id`) > 3"),
        ("kind", r"`kind` NOT IN ('it\'s', 'that')"),
        ("price", "`price` < 0 OR isnan(`price`)"),
        ("price", "`price` > 100 OR isnan(`price`)"),
        ("share", "`share` <= 0 OR isnan(`share`)"),
        ("rank", "`rank` < 1 OR false"),
        ("cheap_share", "NOT coalesce(share < price, false)"),
    ]


def test_each_row_rule_is_an_expectation_of_the_suite():
    rows = [(e.type, e.kwargs) for e in suite(SHOP, 10, 0, ()) if e.severity == "row"]
    assert rows == [
        ("expect_column_values_to_not_be_null", {"column": "day"}),
        ("expect_column_values_to_not_be_null", {"column": "id"}),
        ("expect_rows_to_meet", {"column": "id", "rule": "id", "condition": "coalesce(length(`id`), 0) <= 3"}),
        ("expect_column_values_to_be_in_set", {"column": "kind", "value_set": ["it's", "that"]}),
        ("expect_column_values_to_be_between", {"column": "price", "min_value": 0}),
        ("expect_column_values_to_be_between", {"column": "price", "max_value": 100}),
        ("expect_column_values_to_be_between", {"column": "share", "min_value": 0, "strict_min": True}),
        ("expect_column_values_to_be_between", {"column": "rank", "min_value": 1}),
        ("expect_rows_to_meet", {"rule": "cheap_share", "condition": "share < price"}),
    ]


def test_table_rules_take_the_figures_of_the_night():
    tables = [(e.type, e.kwargs) for e in suite(SHOP, 1000, 8, (10, 30, 21)) if e.severity == "table"]
    assert tables == [
        (
            "expect_table_columns_to_match_ordered_list",
            {"column_list": ["day", "id", "kind", "price", "share", "rank"]},
        ),
        ("expect_table_row_count_to_equal", {"value": 992}),
        ("expect_reject_share_to_be_at_most", {"rows_in": 1000, "limit": 0.05}),
        ("expect_table_row_count_to_be_between", {"min_value": 11}),
        ("expect_key_to_be_unique", {"columns": ["day", "id"]}),
    ]


def test_a_table_asks_no_more_than_its_contract():
    types = {e.type for e in suite(schemas.table("raw.rejects"), 0, 0, ())}
    assert types == {
        "expect_table_columns_to_match_ordered_list",
        "expect_table_row_count_to_equal",
        "expect_reject_share_to_be_at_most",
        "expect_column_values_to_not_be_null",
    }


def test_groups_are_counted_by_person_or_by_a_count_of_people():
    for name, people in (("profiles.cohorts", "count(DISTINCT `user_id`)"), ("insight.cohorts", "sum(`people`)")):
        (found,) = (e for e in suite(schemas.table(name), 9, 0, (), k=3) if e.type == "expect_groups_to_hold_at_least")
        columns = ["day", "segment", "loyalty", "topic", "age", "income"]
        assert (found.kwargs, found.severity) == ({"columns": columns, "people": people, "k": 3}, "table")


def test_fewest_rows_of_a_night():
    assert least_rows(SHOP, 5, ()) == 0
    assert least_rows(SHOP, 5, (0, 0, 0)) == 0
    assert least_rows(SHOP, 5, (7, 9)) == 4
    assert least_rows(SHOP, 0, (7, 9)) == 0, "a closed shop sends nothing"
    lists = schemas.table("lists.staged")
    assert least_rows(lists, 0, ()) == 1, "lists are never empty, with or without earlier nights"
    assert least_rows(lists, 0, (100,)) == 50


def test_a_key_is_unique_within_its_night():
    assert unique_columns(schemas.table("behaviour.log")) == ["arrived", "event_id"]
    assert unique_columns(schemas.table("behaviour.exposures")) == ["user_id", "item_id", "store_id", "day"]
