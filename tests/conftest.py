"""One Spark session for the whole run, small and without downloads; a fixed pseudonym key."""

import os

import pytest

os.environ.setdefault("NIGHT_PSEUDONYM_KEY", "a key of the tests, of forty characters!")


# Of a few rows each plan costs what it takes to make it, so the tests' Spark writes no Java for it, and the JVM neither
# compiles its longest methods nor collects garbage beside its work. tests/test_night.py has Java written, as shops do.
JAVA_OPTIONS = "-XX:+UseParallelGC"
NO_JAVA = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}


@pytest.fixture(scope="session")
def spark():
    from jobs import lake

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake, "JAVA_OPTIONS", JAVA_OPTIONS)
        spark = lake.session("tests")
    for name, value in {"spark.sql.shuffle.partitions": "2", **NO_JAVA}.items():
        spark.conf.set(name, value)
    yield spark
    spark.stop()
