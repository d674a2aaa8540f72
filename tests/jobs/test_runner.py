"""What the runner adds to a job."""

import pytest

from jobs.gate import judge
from jobs.runner import _counted
from jobs.staging import stage
from tests.jobs.conftest import FIRST, SECOND, USERS, people


@pytest.mark.parametrize(("day", "expected"), [(FIRST, 2), (SECOND, 0)])
def test_rows_are_counted_before_they_are_judged_also_where_spark_finds_that_there_are_none(
    spark, lake, tmp_path, day, expected
):
    people(spark, FIRST, "ann", "bob").write.parquet(str(tmp_path / "delivered"))
    # without a row in the files, adaptive execution drops the observation together with the plan
    counted, rows_in = _counted(spark.read.parquet(str(tmp_path / "delivered")).where(f"day = DATE'{day}'"))
    with stage(judge(counted, USERS), USERS, lake) as staged:
        assert rows_in() == expected
        assert staged.count(kept=True) == expected
