"""What the tasks of both DAGs share: how one starts, how its work is proved, and what a person reads when it fails."""

import logging
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

import schemas
from schemas.raw import BY_RUNNER

PROJECT = Path(__file__).resolve().parents[1]
LAKE = os.environ.get("NIGHT_LAKE", str(PROJECT / "var/lake"))
SOURCE = os.environ.get("NIGHT_SOURCE", "complete_journey")
DATA = os.environ.get("NIGHT_DATA", "")
RECIPE = os.environ.get("NIGHT_RECIPE", "cpu")
# recipes of one rank on each of two cores; every other takes all GPUs of this host, or of those in /job/hostfile
ON_CPU = ("cpu", "cpu_warm", "cpu_uncounted", "cpu_private")
JARS = Path(os.environ.get("NIGHT_JARS", PROJECT / "var/jars"))

# The night that a run makes is its logical date. For scheduled and backfilled runs that is the start of the data
# interval [day, day + 1); for a run by hand it is the day asked for, while Airflow infers the interval before it.
DAY = "{{ ds }}"
# A retried or cleared task keeps its run id, but each try has an id of its own: so signed, an earlier try's commit
# proves nothing for this one.
SIGNATURE = "{{ run_id }}/{{ ti.id }}"

# as jobs.lake has them, and says why: a DAG imports no job
JAVA_OPTIONS = "-XX:-DontCompileHugeMethods -XX:+IgnoreUnrecognizedVMOptions -XX:+UseTransparentHugePages"

POOL = "lake"  # one slot: whoever writes the lake waits for who does; the Makefile and docker/compose.yaml create it

BAD_INPUT = 2  # the jobs' exit code for what no retry mends
NOTHING_TO_DO = 99  # the training's exit code for a task that is skipped

log = logging.getLogger(__name__)


class SparkTables(SparkSubmitOperator):
    """Makes tables of one night in one Spark session, then looks for the commit of each.

    Which cluster runs it is the affair of the connection ``spark_default``. Returns the signature of its commits.

    Args:
        tables: names in the contract, each after those it reads.
        model_version: template of the MLflow version, for tables that a model makes.
        sentiment_version: likewise, of the model that reads reviews.
    """

    template_fields = (*SparkSubmitOperator.template_fields, "day", "signature")

    def __init__(
        self,
        *,
        tables: list[str],
        model_version: str | None = None,
        sentiment_version: str | None = None,
        **kwargs,
    ) -> None:
        self.tables = tables
        self.day = DAY
        self.signature = SIGNATURE
        arguments = [*tables, "--day", DAY, "--lake", LAKE, "--source", SOURCE, "--data", DATA, "--run-id", SIGNATURE]
        if model_version is not None:
            arguments += ["--model-version", model_version]
        if sentiment_version is not None:
            arguments += ["--sentiment-version", sentiment_version]
        super().__init__(
            application=str(PROJECT / "jobs/__main__.py"),
            application_args=arguments,
            jars=",".join(map(str, sorted(JARS.glob("*.jar")))) or None,  # none: the cluster has Delta itself
            driver_memory="4g",
            pool=POOL,
            conf={
                "spark.ui.enabled": "false",  # else every session opens a port
                "spark.driver.extraJavaOptions": JAVA_OPTIONS,
                "spark.executor.extraJavaOptions": JAVA_OPTIONS,
            },
            **kwargs,
        )

    def execute(self, context) -> str:
        try:
            super().execute(context)
        except AirflowException as error:
            # its text is the command line with "Error code is: N.", then the end of the job's own log
            code = re.search(r"Error code is: (-?\d+)", str(error))
            told = f"spark-submit ended with {code[1] if code else 'an error'} after: {str(error).splitlines()[-1]}"
            if code and int(code[1]) == BAD_INPUT:
                raise AirflowFailException(f"not tried again: {told}") from None
            raise AirflowException(told) from None
        check(self.tables, self.day, self.signature)
        return self.signature


def check(tables: list[str], day: str, signature: str) -> None:
    """Asks the lake itself whether ``signature`` committed the night ``day`` of each table.

    Raises:
        AirflowException: if a commit is missing, whatever the task's own exit code said.
    """
    command = [sys.executable, "-m", "jobs", "check", *tables, "--day", day, "--lake", LAKE, "--source", SOURCE]
    done = subprocess.run([*command, "--run-id", signature], cwd=PROJECT, capture_output=True, text=True)
    if done.returncode:
        raise AirflowException(f"the task ended without an error, but its work is not in the lake:\n{done.stderr}")


def room(name: str) -> list[str]:
    """The tables that a room's jobs make, in the order of the contract: each stands after those it reads."""
    return [table.name for table in schemas.TABLES.values() if table.room == name and table.name not in BY_RUNNER]


def command(task_id: str, line: str, **kwargs) -> BashOperator:
    """A task that runs one command line in the project's folder."""
    return BashOperator(task_id=task_id, bash_command=line, cwd=str(PROJECT), **kwargs)


def answer(task_id: str, line: str) -> BashOperator:
    """A task that returns what a command printed: said once more at the end, where no warning comes after it."""
    return command(task_id, f'answer=$({line}) && echo "$answer"')


def training() -> tuple[BashOperator, BashOperator, BashOperator]:
    """The three tasks that make a model version of the night and let it challenge the champion.

    ``judge`` returns the champion's version after the trial, whoever won.
    """
    ranks = "--num_accelerators 2 --no_local_rank" if RECIPE in ON_CPU else "--no_local_rank"
    what = f"--recipe {RECIPE} --day {DAY} --lake '{LAKE}'"
    pretrain, train = (
        command(task, f"deepspeed {ranks} --module training.{stage} {what}", execution_timeout=timedelta(hours=6))
        for task, stage in (("pretrain", "pretrain"), ("train", "finetune"))
    )
    judge = answer("judge", f"python -m training judge {what} >&2 && python -m training champion")
    return pretrain, train, judge


def sentiment() -> BashOperator:
    """The task that trains the model which reads reviews; skipped where the shop has too few."""
    ranks = 2 if RECIPE in ON_CPU else -1
    line = f"python -m training sentiment --recipe {RECIPE} --day {DAY} --lake '{LAKE}' --ranks {ranks}"
    return command("sentiment", line, execution_timeout=timedelta(hours=6), skip_on_exit_code=NOTHING_TO_DO)


def tell(context) -> None:
    """Says in one block what failed and what to do; the DAG's docstring has the rest."""
    task = context["task_instance"]
    log.error(
        "\n%s\n"
        "FAILED    task %s of %s, night %s, try %s of run %s\n"
        "why       %s\n"
        "lists     those of the last good night stay; nothing half-made was published\n"
        "what now  the DAG's docs say what to look at for %s; then clear the task with all downstream of it,\n"
        "          or run the whole night again: make %s DAY=%s\n"
        "%s\n",
        "=" * 80, task.task_id, task.dag_id, context["ds"], task.try_number, context["run_id"],
        context.get("exception"), task.task_id, "nightly" if task.dag_id == "nightly" else "train", context["ds"],
        "=" * 80,
    )  # fmt: skip


DEFAULTS = {
    "retries": 2,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=15),
    "execution_timeout": timedelta(hours=1),
    "on_failure_callback": tell,
}
