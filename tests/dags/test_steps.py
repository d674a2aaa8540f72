"""Airflow's success is never believed: what a task does when its work is not in the lake."""

import json
import logging
import os
import subprocess
import sys
from datetime import date
from types import SimpleNamespace

import pyarrow as pa
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from deltalake import CommitProperties, write_deltalake

DAY = "2017-12-31"


@pytest.fixture
def lake(tmp_path, steps, monkeypatch):
    monkeypatch.setattr(steps, "LAKE", str(tmp_path))
    return tmp_path


def commit(lake, name: str, signature: str) -> None:
    """A commit of night DAY as jobs.lake signs it."""
    signed = {"userMetadata": json.dumps({"day": DAY, "job": name, "run_id": signature})}
    rows = pa.table({"day": [date.fromisoformat(DAY)]})
    where = lake / name.replace(".", "/")
    write_deltalake(where, rows, mode="append", commit_properties=CommitProperties(custom_metadata=signed))


def task_that_runs(steps, program: str, tmp_path):
    """A task for raw.events whose application is ``program``, as Airflow has it after rendering."""
    application = tmp_path / "program.py"
    application.write_text(program)
    task = steps.SparkTables(task_id="raw", tables=["raw.events"])
    task.application, task.application_args, task.jars = str(application), [], None
    task.day, task.signature, task.name = DAY, "run/2", "test"
    return task


def test_the_check_asks_for_this_trys_commit_of_every_table(lake, steps):
    commit(lake, "raw.events", "run/1")
    commit(lake, "raw.items", "run/1")
    commit(lake, "raw.events", "run/2")
    steps.check(["raw.events"], DAY, "run/2")
    with pytest.raises(AirflowException, match=r"raw\.items: no commit of run run/2 for night 2017-12-31") as caught:
        steps.check(["raw.events", "raw.items"], DAY, "run/2")
    assert "raw.events" not in str(caught.value)


def test_a_spark_job_that_succeeds_without_a_commit_fails_the_task(lake, steps, tmp_path):
    task = task_that_runs(steps, "print('all is well')", tmp_path)
    with pytest.raises(AirflowException, match=r"not in the lake:(.|\n)*raw\.events: no commit of run run/2") as caught:
        task.execute({})
    assert not isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize(("code", "kind"), [(1, AirflowException), (2, AirflowFailException)])
def test_a_spark_job_that_fails_is_tried_again_unless_its_input_is_bad(lake, steps, tmp_path, code, kind):
    task = task_that_runs(steps, f"print('no column price'); raise SystemExit({code})", tmp_path)
    commit(lake, "raw.events", "run/2")
    with pytest.raises(AirflowException, match=f"spark-submit ended with {code} after: no column price") as caught:
        task.execute({})
    assert type(caught.value) is kind


def test_the_failure_callback_says_what_failed_and_what_to_do(steps, caplog):
    task = SimpleNamespace(dag_id="nightly", task_id="lists", try_number=3)
    with caplog.at_level(logging.ERROR):
        steps.tell({"task_instance": task, "ds": DAY, "run_id": "run", "exception": "gate: least_share"})
    assert "task lists of nightly, night 2017-12-31, try 3 of run run" in caplog.text
    assert "why       gate: least_share" in caplog.text
    assert "make nightly DAY=2017-12-31" in caplog.text


def test_a_night_of_an_unknown_source_fails_at_once_through_the_real_airflow(tmp_path):
    """The whole way: DAG, spark-submit, exit code, no retry, failure callback, and the exit code of `dags test`."""
    environment = os.environ | {
        "NIGHT_SOURCE": "nowhere",
        "NIGHT_LAKE": str(tmp_path / "lake"),
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__LOGGING__LOG_FORMAT": "%(message)s",
    }
    airflow = [sys.executable, "-m", "airflow"]
    subprocess.run([*airflow, "db", "migrate"], env=environment, check=True, capture_output=True)
    night = subprocess.run(
        [*airflow, "dags", "test", "nightly", DAY],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
    )  # fmt: skip
    assert night.returncode != 0, night.stdout[-3000:]
    assert night.stdout.count("starting task_id=") == 1
    assert "no source is called 'nowhere'" in night.stdout
    assert f"FAILED    task raw of nightly, night {DAY}, try 1" in night.stdout
    assert not (tmp_path / "lake").exists()


def test_what_the_rooms_say_to_one_another_stands_the_same_in_each(bag, steps):
    """They may not import one another."""
    import nightly

    from jobs import lake, model
    from training.__main__ import SKIPPED

    assert steps.JAVA_OPTIONS == lake.JAVA_OPTIONS
    assert nightly.NO_CHAMPION == model.NO_CHAMPION
    assert steps.NOTHING_TO_DO == SKIPPED
