"""Delta's JARs: what was fetched, and what a machine without a network is told."""

import os
import re
from pathlib import Path

import pyspark
import pytest

from jobs.jars import DELTA, fetch

FOLDER = Path(os.environ.get("NIGHT_JARS", "var/jars"))


def artifacts(folder: Path) -> set[str]:
    """``delta-storage`` for each ``io.delta_delta-storage-4.4.0.jar`` or ``delta-storage-4.4.0.jar``."""
    return {re.sub(r"^.*_(?=[a-z])|-\d[\w.]*$", "", jar.stem) for jar in folder.glob("*.jar")}


def test_the_folder_holds_delta_and_nothing_that_spark_ships_itself():
    ours, sparks = artifacts(FOLDER), artifacts(Path(pyspark.__path__[0], "jars"))
    assert {"delta-spark_4.2_2.13", "delta-storage", "unitycatalog-client"} <= ours
    assert len(sparks) > 100
    assert ours & sparks == set()


def test_without_a_network_the_error_says_what_to_do_and_the_old_jars_stay(tmp_path, monkeypatch):
    submit = tmp_path / "bin/spark-submit"
    submit.parent.mkdir()
    submit.write_text("#!/bin/sh\necho '::    UNRESOLVED DEPENDENCIES    ::'\nexit 1\n")
    submit.chmod(0o755)
    monkeypatch.setenv("PATH", str(submit.parent))
    folder = tmp_path / "jars"
    folder.mkdir()
    (folder / "old.jar").touch()
    with pytest.raises(OSError, match=re.escape(DELTA)) as caught:
        fetch(folder)
    for told in (f"copy its JARs into {folder}", "DEFAULT_ARTIFACT_REPOSITORY", "UNRESOLVED DEPENDENCIES"):
        assert told in str(caught.value)
    assert [jar.name for jar in folder.iterdir()] == ["old.jar"]
