"""Bad rows are split off with their reason; a table that broke its rules stops the night."""

import json
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import functions as F

import schemas
from jobs.gate import Counts, Gate, judge
from schemas.contract import Column, Table

DAY = date(2024, 5, 2)
SHOP = Table(
    name="raw.shop",
    doc="A table for tests.",
    columns=(
        Column("day", "date", "the night", required=True),
        Column("id", "string", "an id", required=True, max_length=3),
        Column("kind", "string", "a kind", one_of=("cup", "chef's knife")),
        Column("price", "double", "a price", minimum=0, maximum=1_000_000),
        Column("share", "double", "a share", above=0, maximum=1),
        Column("rank", "int", "a rank", minimum=1),
        Column("starts", "date", "first day"),
        Column("ends", "date", "last day"),
    ),
    key=("id",),
    reject_limit=0.25,
    least_share=0.5,
    rows=(("runs_forward", "starts IS NULL OR starts <= ends"),),
)
GOOD = {"day": DAY, "id": "a", "kind": "cup", "price": 1.5, "share": 0.5, "rank": 1}


def rows(spark, *changes, extra=""):
    return spark.createDataFrame([GOOD | change for change in changes], SHOP.ddl + extra)


def verdicts(frame, table=SHOP):
    return [(row["_rule"], row["_reason"]) for row in judge(frame, table).collect()]


def test_a_row_that_breaks_a_rule_says_which_and_how(spark):
    told = [
        ({"id": None}, "id", "id is missing, expected a value"),
        ({"id": "long"}, "id", "id has 4 characters, expected at most 3 characters"),
        ({"kind": "spoon"}, "kind", "kind = spoon, expected one of cup, chef's knife"),
        ({"price": -3.0}, "price", "price = -3.0, expected at least 0"),
        ({"price": 1_000_000.5}, "price", "price = 1000000.5, expected at most 1,000,000"),
        ({"price": float("nan")}, "price", "price = NaN, expected at least 0"),
        ({"price": float("inf")}, "price", "price = Infinity, expected at most 1,000,000"),
        ({"share": 0.0}, "share", "share = 0.0, expected above 0"),
        ({"share": float("nan")}, "share", "share = NaN, expected above 0"),
        ({"share": 1.25}, "share", "share = 1.25, expected at most 1"),
        ({"rank": 0}, "rank", "rank = 0, expected at least 1"),
        (
            {"starts": date(2024, 5, 3), "ends": DAY},
            "runs_forward",
            "starts = 2024-05-03, ends = 2024-05-02, expected starts IS NULL OR starts <= ends",
        ),
        # a condition that is null isn't met
        (
            {"starts": DAY},
            "runs_forward",
            "starts = 2024-05-02, ends = null, expected starts IS NULL OR starts <= ends",
        ),
    ]
    changes = [change for change, _, _ in told]
    assert verdicts(rows(spark, *changes)) == [(rule, reason) for _, rule, reason in told]


def test_bounds_themselves_and_nulls_are_good(spark):
    edges = {"id": "abc", "price": 0.0, "share": 1.0, "rank": 1, "starts": DAY, "ends": DAY}
    nulls = {"kind": None, "price": None, "share": None, "rank": None}
    assert verdicts(rows(spark, edges, nulls, {"kind": "chef's knife", "price": 1e6})) == [(None, None)] * 3


def test_the_first_broken_rule_counts_required_before_all_others(spark):
    assert verdicts(rows(spark, {"price": -1.0, "rank": 0}, {"day": None, "kind": "spoon"})) == [
        ("price", "price = -1.0, expected at least 0"),
        ("day", "day is missing, expected a value"),
    ]


def test_a_long_value_is_quoted_in_part(spark):
    ((_, reason),) = verdicts(rows(spark, {"kind": "x" * 5000}))
    assert reason == f"kind = {'x' * 200}, expected one of cup, chef's knife"


def test_a_rule_of_the_job_stands_and_the_source_row_is_kept(spark):
    frame = rows(
        spark,
        {"price": -1.0, "_rule": "duplicate", "_reason": "came twice", "_source": '{"p": "-1"}'},
        {"price": -1.0, "_rule": "odd", "_reason": None, "_source": None},
        {"price": -1.0, "_rule": None, "_reason": None, "_source": '{"p": "-1"}'},
        {"_rule": None, "_reason": None, "_source": '{"p": "1"}'},
        extra=", _rule string, _reason string, _source string",
    )
    first, second, third, good = judge(frame, SHOP).select("_rule", "_reason", "_source").collect()
    assert tuple(first) == ("duplicate", "came twice", '{"p": "-1"}')
    assert (second["_rule"], second["_reason"]) == ("odd", "odd")
    assert json.loads(second["_source"])["price"] == -1.0
    assert tuple(third) == ("price", "price = -1.0, expected at least 0", '{"p": "-1"}')
    assert tuple(good) == (None, None, None)


def test_columns_come_in_the_contracts_order_and_types(spark):
    frame = rows(spark, {"rank": 7}).select(
        F.col("rank").cast("bigint").alias("rank"),
        F.lit("more").alias("more"),
        *SHOP.column_names[:5],
        "ends",
        "starts",
    )
    judged = judge(frame, SHOP)
    kinds = [f"`{field.name}` {field.dataType.simpleString()}" for field in judged.schema]
    assert ", ".join(kinds) == SHOP.ddl + ", `_rule` string, `_reason` string, `_source` string"
    assert judged.first()["rank"] == 7


def test_a_missing_column_is_named_with_its_table(spark):
    with pytest.raises(ValueError, match=r"raw\.shop: the job's frame has no column price, rank; .*schemas/raw\.py"):
        judge(rows(spark, {}).drop("price", "rank"), SHOP)


@pytest.mark.parametrize("name", sorted(schemas.TABLES))
def test_every_contract_gives_rules_that_spark_understands(spark, name):
    table = schemas.table(name)
    assert judge(spark.createDataFrame([], table.ddl), table).collect() == []


@pytest.fixture(scope="module")
def docs(tmp_path_factory):
    return tmp_path_factory.mktemp("docs")


@pytest.fixture(scope="module")
def gate(docs):
    return Gate(str(docs))


def night(spark, count, **changes):
    return rows(spark, *({"id": f"{n:03}"} | changes for n in range(count)))


def test_a_good_night_passes_and_every_expectation_is_recorded(spark, gate):
    verdict = gate.audit(night(spark, 4), SHOP, Counts(5, 4, 1, (8, 6, 8)), DAY, "run 7")
    assert verdict.broken == []
    about = (5, 4, 1, "run 7")
    column = "expect_column_values_to_be_between", "price", True, "0 rows break it"
    assert verdict.rows[:2] == [
        (
            DAY,
            "raw.shop",
            "expect_table_columns_to_match_ordered_list",
            None,
            True,
            "the columns day, id, kind, price, share, rank, starts, ends",
            "the columns day, id, kind, price, share, rank, starts, ends",
            "table",
            *about,
        ),
        (
            DAY,
            "raw.shop",
            "expect_table_row_count_to_equal",
            None,
            True,
            "4 rows",
            "4 rows, 5 in - 1 rejected",
            "table",
            *about,
        ),
    ]
    assert (DAY, "raw.shop", *column, "at least 0", "row", *about) in verdict.rows
    assert [row[2] for row in verdict.rows if row[7] == "table"] == [
        "expect_table_columns_to_match_ordered_list",
        "expect_table_row_count_to_equal",
        "expect_reject_share_to_be_at_most",
        "expect_table_row_count_to_be_between",
        "expect_key_to_be_unique",
    ]
    quality = schemas.table("insight.quality")
    assert spark.createDataFrame(verdict.rows, quality.ddl).count() == len(verdict.rows) == 15


def test_everything_that_is_wrong_with_a_night_is_told_at_once(spark, gate):
    """Two rows of one id, six earlier nights with far more rows, half of the rows rejected."""
    verdict = gate.audit(night(spark, 3, id="007"), SHOP, Counts(6, 3, 3, (8, 9, 8, 7, 10, 8)), DAY, "run 8")
    assert verdict.broken == [
        "3 of 6 rows rejected, expected at most 25% rejected: see rule and reason in raw.rejects, mend the feed, and "
        "run raw.shop again",
        "3 rows, expected at least 4 rows: the feed is cut short; wait for the rest and run the night again",
        "2 rows not unique, expected one row for each day, id: drop copies in the job, or widen the table's key",
    ]
    assert [row[2] for row in verdict.rows if not row[4]] == [
        "expect_reject_share_to_be_at_most",
        "expect_table_row_count_to_be_between",
        "expect_key_to_be_unique",
    ]


def test_rejected_rows_of_which_an_earlier_night_was_told_do_not_count(spark, gate):
    """Three rows without a day come again every night; one of two new rows is bad."""
    again = Counts(5, 1, 4, repeated=3)
    assert gate.audit(night(spark, 1), SHOP, again, DAY, "run 8").broken == [
        "1 of 2 rows rejected, expected at most 25% rejected: see rule and reason in raw.rejects, mend the feed, and "
        "run raw.shop again"
    ]
    assert gate.audit(night(spark, 3), SHOP, Counts(7, 3, 4, repeated=3), DAY, "run 8").broken == []


def test_rows_that_vanish_between_the_split_and_the_audit_stop_the_night(spark, gate):
    verdict = gate.audit(night(spark, 4), SHOP, Counts(6, 5, 1), DAY, "run 9")
    assert verdict.broken == [
        "4 rows, expected 5 rows, 6 in - 1 rejected: rows were lost or made on the way from the job to the lake: run "
        "the night again",
        "2 of 6 rows rejected, expected at most 25% rejected: see rule and reason in raw.rejects, mend the feed, and "
        "run raw.shop again",
    ]


def test_a_row_rule_that_the_split_missed_and_a_lost_column_stop_the_night(spark, gate):
    frame = night(spark, 2, price=-1.0, starts=DAY, ends=date(2024, 5, 1)).drop("share").withColumn("sheer", F.lit(1))
    with pytest.raises(
        RuntimeError, match=r"raw\.shop: expect_column_values_to_be_between .*'share'.* was not checked"
    ):
        gate.audit(frame, SHOP, Counts(2, 2, 0), DAY, "run 10")
    verdict = gate.audit(frame.withColumnRenamed("sheer", "share"), SHOP, Counts(2, 2, 0), DAY, "run 10")
    told = "the split by jobs/gate.py let them through; mend it"
    assert verdict.broken[1:] == [
        f"price: 2 rows break it, expected at least 0: {told}",
        f"2 rows break it, expected starts IS NULL OR starts <= ends: {told}",
    ]
    assert verdict.broken[0].startswith("the columns day, id, kind, price, rank, starts, ends, share, expected")


def test_an_empty_night_passes_where_the_contract_allows_it(spark, gate, frame):
    assert gate.audit(night(spark, 1).limit(0), SHOP, Counts(0, 0, 0), DAY, "run 11").broken == []
    verdict = gate.audit(frame("lists.staged"), schemas.table("lists.staged"), Counts(0, 0, 0), DAY, "run 11")
    assert verdict.broken == [
        "0 rows, expected at least 1 row: the feed is cut short; wait for the rest and run the night again"
    ]


def test_the_docs_list_every_table_and_night_those_of_earlier_runs_too(spark, docs, tmp_path):
    def page(folder, day):
        pages = list(Path(folder, "validations", "raw", "shop").glob(f"{day}/*/*.html"))
        assert len(pages) == 1
        return pages[0].read_text(encoding="utf-8")

    for day, count in ((DAY, 3), (date(2024, 5, 3), 1)):
        gate = Gate(str(tmp_path))  # each night is a process of its own
        gate.audit(night(spark, count), SHOP, Counts(count, count, 0, (4,)), day, "run 12")
        gate.publish_docs()
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "raw.shop" in index
    assert "2024-05-02" in index
    assert "2024-05-03" in index
    good, bad = page(tmp_path, DAY), page(tmp_path, "2024-05-03")
    assert "Succeeded" in good
    assert "Failed" in bad
    assert "at least 2 rows" in bad
    assert "at most 25% rejected" in good
    assert "starts IS NULL OR starts &lt;= ends" in good or "starts IS NULL OR starts <= ends" in good
