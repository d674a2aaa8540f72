"""One Spark session for the whole run, small and without downloads; a fixed pseudonym key."""

import os

import pytest

os.environ.setdefault("NIGHT_PSEUDONYM_KEY", "a key of the tests, of forty characters!")


@pytest.fixture(scope="session")
def spark():
    from jobs.lake import session

    spark = session("tests")
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    yield spark
    spark.stop()
