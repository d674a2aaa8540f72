"""Our expectations beside those of Great Expectations."""

from pyspark.sql.classic.dataframe import DataFrame

from jobs.gate import Counts, Gate
from jobs.rules import repeating
from tests.jobs.conftest import FIRST
from tests.jobs.test_gate import SHOP, rows


def test_repeated_keys_are_counted_nulls_alike(spark):
    frame = spark.createDataFrame(
        [("a", None), (None, "a"), ("a", None), ("b", "c"), ("b", "c"), ("b", "c")], "x string, y string"
    )
    assert repeating(frame, ["x", "y"], 6) == 3
    assert repeating(frame.distinct(), ["x", "y"], 3) == 0
    assert repeating(frame.limit(0), ["x", "y"], 0) == 0


def test_all_rules_of_a_table_are_checked_in_one_pass_over_its_rows(spark, tmp_path, monkeypatch):
    asked, aggregate = [], DataFrame.agg

    def counted(frame, *columns):
        asked.append(len(columns))
        return aggregate(frame, *columns)

    gate, kept = Gate(str(tmp_path)), rows(spark, {})
    monkeypatch.setattr(DataFrame, "agg", counted)
    gate.audit(kept, SHOP, Counts(1, 1, 0), FIRST, "run")
    # the number of rows, all row rules, and the key: its hashes by bucket are no aggregate of the whole frame
    assert sorted(asked) == [1, 1, 14]
