"""The order of the night, the promises of its tasks, and which day a run makes."""

import importlib
import re
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval

import schemas

PROJECT = Path(__file__).resolve().parents[2]
SPARK = ["raw", "behaviour_to_profiles", "lists", "insight"]


def intervals(dag, first: date, last: date) -> list[tuple[datetime, DataInterval, datetime]]:
    """Logical date, data interval and start of the runs that the scheduler or a backfill makes for those days."""
    seen = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    at = [datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC) for day in (first - timedelta(days=1), last)]
    return [(run.logical_date, run.data_interval, run.run_after) for run in seen.iter_dagrun_infos_between(*at)]


def test_the_folder_holds_three_dags_and_all_load(bag):
    assert bag.import_errors == {}
    assert set(bag.dags) == {"nightly", "training", "upkeep"}


def test_the_order_of_the_night(nightly):
    assert {task.task_id: task.downstream_task_ids for task in nightly.tasks} == {
        "raw": {"sentiment"},
        "sentiment": {"behaviour_to_profiles"},
        "behaviour_to_profiles": {"champion"},
        "champion": {"untrained", "lists"},
        "untrained": {"pretrain"},
        "pretrain": {"train"},
        "train": {"judge"},
        "judge": {"lists"},
        "lists": {"insight"},
        "insight": {"page"},
        "page": set(),
    }


def test_every_table_is_made_once_and_after_those_it_reads(nightly):
    order = [name for task_id in SPARK for name in nightly.get_task(task_id).tables]
    assert sorted(order) == sorted(set(schemas.TABLES) - {"raw.rejects", "raw.erased", "insight.quality"})
    for place, name in enumerate(order):
        job = importlib.import_module(f"jobs.{name}")
        # what earlier nights made is there, whichever table of tonight's comes first
        tonight = {read.table for read in job.READS.values() if read.table and read.kind != "before"}
        too_late = tonight - set(order[:place])
        assert too_late - {name} == set(), f"{name} reads {too_late} before they are made"


@pytest.mark.parametrize("dag_id", ["nightly", "training", "upkeep"])
def test_every_task_is_retried_with_back_off_bounded_in_time_and_reported(bag, steps, dag_id):
    dag = bag.dags[dag_id]
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    for task in dag.tasks:
        assert (task.retries, bool(task.retry_exponential_backoff)) == (2, True), task.task_id
        assert timedelta(0) < task.retry_delay < task.max_retry_delay, task.task_id
        assert timedelta(0) < task.execution_timeout <= timedelta(hours=6), task.task_id
        assert list(task.on_failure_callback) == [steps.tell], task.task_id


@pytest.mark.parametrize("dag_id", ["nightly", "training", "upkeep"])
def test_the_docstring_is_a_runbook_that_names_every_task(bag, dag_id):
    dag = bag.dags[dag_id]
    runbook = dag.doc_md.split("**When a task fails.**")[1]
    untold = {task.task_id for task in dag.tasks if not re.search(rf"\b{task.task_id}\b", runbook)}
    assert untold <= {"untrained", "page"}  # they read two words and one table; the sketch above shows them


def test_a_nights_interval_is_its_whole_day_and_it_starts_when_the_day_is_over(nightly):
    assert intervals(nightly, date(2017, 12, 30), date(2017, 12, 31)) == [
        (
            datetime(2017, 12, day, tzinfo=UTC),
            DataInterval(datetime(2017, 12, day, tzinfo=UTC), following),
            following,
        )
        for day, following in [(30, datetime(2017, 12, 31, tzinfo=UTC)), (31, datetime(2018, 1, 1, tzinfo=UTC))]
    ]


def test_training_is_weekly_on_sundays_night_after_it_was_made(weekly):
    sunday = datetime(2017, 12, 24, 6, tzinfo=UTC)
    monday = sunday + timedelta(days=1)
    found = intervals(weekly, date(2017, 12, 20), date(2017, 12, 26))
    assert found == [(sunday, DataInterval(sunday, monday), monday)]


def test_training_trains_and_then_judges_the_same_night_and_then_reads_reviews(weekly, nightly):
    assert {task.task_id: task.downstream_task_ids for task in weekly.tasks} == {
        "pretrain": {"train"},
        "train": {"judge"},
        "judge": {"sentiment"},
        "sentiment": set(),
    }
    for task_id in ("pretrain", "train", "judge"):
        assert weekly.get_task(task_id).bash_command == nightly.get_task(task_id).bash_command
        assert "--day {{ ds }}" in weekly.get_task(task_id).bash_command


def test_a_shop_without_reviews_skips_the_model_that_reads_them(weekly):
    """By the task's own command line, in a lake that has none: Airflow takes this exit code for a skipped task."""
    task = weekly.get_task("sentiment")
    line = task.bash_command.replace("{{ ds }}", "2017-12-31")
    done = subprocess.run(line, shell=True, cwd=PROJECT, capture_output=True, text=True)
    assert task.skip_on_exit_code == [done.returncode], done.stderr[-2000:]
    assert done.stderr.endswith("has no raw.reviews: the shop told of no review up to 2017-12-31\n")


def test_upkeep_is_weekly_for_sunday_and_never_beside_a_task_that_writes_the_lake(bag, nightly):
    sunday = datetime(2017, 12, 24, 4, tzinfo=UTC)
    monday = sunday + timedelta(days=1)
    dag = bag.dags["upkeep"]
    assert intervals(dag, date(2017, 12, 20), date(2017, 12, 26)) == [(sunday, DataInterval(sunday, monday), monday)]
    (task,) = dag.tasks
    assert task.bash_command.startswith("python -m jobs upkeep --day {{ ds }} --lake ")
    writers = [nightly.get_task(task_id) for task_id in SPARK] + [task]
    assert {(each.pool, each.pool_slots) for each in writers} == {("lake", 1)}
    # whoever sets up Airflow creates it, with one slot
    for recipe in ("Makefile", "docker/compose.yaml"):
        assert re.findall(r"airflow pools set (\w+) (\d+) ", (PROJECT / recipe).read_text()) == [("lake", "1")], recipe
