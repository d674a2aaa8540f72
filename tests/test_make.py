"""What the Makefile and its check of prerequisites promise, on a machine that lacks them and on one that doesn't."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
VARIABLES = ("NIGHT_LAKE", "MLFLOW_TRACKING_URI", "NIGHT_SOURCE", "NIGHT_DATA", "STATE", "SOURCE", "DATA", "DAY")


def make(*words: str) -> subprocess.CompletedProcess:
    """``make`` as a person calls it, without what an outer make has set."""
    env = {name: value for name, value in os.environ.items() if name not in VARIABLES and not name.startswith("MAKE")}
    return subprocess.run(["make", *words], cwd=PROJECT, env=env, capture_output=True, text=True)


def prerequisites(tmp_path: Path, *present: str, java: str | None = None) -> subprocess.CompletedProcess:
    """The check on a machine that has only ``present`` and a Java that says it is version ``java``."""
    for name in ("sed", "head", *present):
        (tmp_path / name).symlink_to(shutil.which(name))
    if java is not None:
        (tmp_path / "java").write_text(f"#!/bin/sh\necho 'openjdk version \"{java}\"' >&2\n")
        (tmp_path / "java").chmod(0o755)
    env = {"PATH": str(tmp_path)}
    return subprocess.run(["/bin/sh", PROJECT / ".ci/prerequisites"], env=env, capture_output=True, text=True)


def test_each_missing_prerequisite_gets_one_line_with_its_package(tmp_path):
    done = prerequisites(tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "missing: Python 3.11: apt install python3.11 python3.11-venv python3.11-dev",
        "missing: Java 17: apt install openjdk-17-jre-headless",
        "missing: gcc: apt install gcc",
        "missing: g++: apt install g++",
    ]


@pytest.mark.parametrize(
    ("version", "enough"), [("1.8.0_392", False), ("11.0.2", False), ("17.0.1", True), ("21", True)]
)
def test_an_old_java_is_named_with_its_version(tmp_path, version, enough):
    done = prerequisites(tmp_path, "gcc", "g++", java=version)
    told = [line for line in done.stderr.splitlines() if "Java" in line]
    old = version.split(".")[0]
    wanted = f"missing: Java 17 (java is Java {old}): apt install openjdk-17-jre-headless"
    assert told == ([] if enough else [wanted])
    assert "gcc" not in done.stderr


def test_help_lists_every_command_of_the_readme():
    listed = {line.split()[1] for line in make("help").stdout.splitlines()}
    assert {"nightly", "backfill", "test", "lint", "format", "up", "down", "clean", "help"} <= listed


def test_each_source_has_a_lake_and_a_registry_of_its_own():
    rule = "--eval=show: ; @echo $$NIGHT_SOURCE $$NIGHT_LAKE $$MLFLOW_TRACKING_URI"
    var = PROJECT / "var"
    assert make(rule, "show").stdout.split() == ["complete_journey", f"{var}/lake", f"sqlite:///{var}/mlflow.db"]
    assert make(rule, "show", "SOURCE=folder").stdout.split() == [
        "folder",
        f"{var}/folder/lake",
        f"sqlite:///{var}/folder/mlflow.db",
    ]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("nightly", "SOURCE=folder"), "DAY is missing"),
        (("backfill", "FROM=2017-12-24"), "FROM or TO is missing"),
    ],
)
def test_a_missing_day_is_asked_for(words, wanted):
    done = make("--dry-run", *words)
    assert done.returncode == 2
    assert wanted in done.stderr
