"""# The night

From what the shop's source delivered on one day to audited lists in `lists.recommendations`. Each Spark task
makes the tables of its rooms (see `schemas/`) in one session, and is done only when the lake holds its commits.

    raw > sentiment > behaviour_to_profiles > champion -------------------> lists > insight > page
                                                    \\ untrained > pretrain > train > judge /

**Which night.** The run's logical date. The schedule's data interval is [day, day + 1) UTC, so day's night starts when
day is over. By hand: `airflow dags test nightly 2017-12-31`, or the button in the UI with that logical date.

**Rerun.** Run the day again, or clear a task: every task replaces its night, so the tables come out the same.
**Backfill.** `make backfill FROM= TO=`, or `airflow backfill create` with the scheduler. Raw tables and the log take in
all nights since their last one, so a night that was never run is caught up by the next.

**When a task fails.** Nothing half-made is visible and the lists of the last good night stay. Tasks are tried three
times; an input that no retry mends fails at once. Always clear a task with all downstream of it.

| failed task | look at | then |
|---|---|---|
| raw | the file or column its log names; the day in `insight.quality`, `raw.rejects` | deliver again, clear it |
| sentiment | whether MLflow answers at MLFLOW_TRACKING_URI | clear it |
| behaviour_to_profiles | `insight.quality` of the day: what broke, and by how much | clear from its cause |
| champion | whether MLflow answers at MLFLOW_TRACKING_URI | clear it |
| pretrain, train, judge | the MLflow run; a killed training goes on from its last checkpoint | clear it |
| lists | the verdict on `lists.staged` in `insight.quality`; yesterday's lists stay | clear it |
| insight | `insight.quality` of the day; tonight's lists are published | clear it |

Is a run's commit there? `make shell`, then `python -m jobs check lists.recommendations --day D --run-id R`; the task's
returned value is R.
"""

from datetime import datetime

from airflow.sdk import DAG, TriggerRule, chain, task
from airflow.timetables.interval import CronDataIntervalTimetable
from steps import DAY, DEFAULTS, LAKE, SparkTables, answer, command, room, training

NO_CHAMPION = "none"  # what `python -m training champion` prints when there is none
# the champion found before training goes first: a judge that is skipped tonight may have answered on an earlier try
VERSION = (
    "{% set champion = ti.xcom_pull(task_ids='champion') %}"
    f"{{{{ champion if champion != '{NO_CHAMPION}' else ti.xcom_pull(task_ids='judge') }}}}"
)

with DAG(
    "nightly",
    description="One night: from raw events to published lists",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2000, 1, 1),
    catchup=False,
    # two nights at once would write the same tables; a failed night doesn't hold up the next, which catches it up
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["night"],
):
    raw = SparkTables(task_id="raw", tables=room("raw"))
    # none yet: then the stars alone say what a review means
    sentiment = answer("sentiment", "python -m training champion --model sentiment")
    # what follows from the raw tables shares a session: to start another takes longer than most of its tables
    profiles = SparkTables(
        task_id="behaviour_to_profiles",
        tables=room("behaviour") + room("catalogue") + room("profiles"),
        sentiment_version="{{ ti.xcom_pull(task_ids='sentiment') }}",
    )
    champion = answer("champion", "python -m training champion")

    @task.short_circuit(ignore_downstream_trigger_rules=False)
    def untrained(version: str) -> bool:
        """Whether there is no champion yet, so that tonight trains the first."""
        return version == NO_CHAMPION

    pretrain, train, judge = training()
    lists = SparkTables(
        task_id="lists",
        tables=room("lists"),
        model_version=VERSION,
        trigger_rule=TriggerRule.NONE_FAILED,
    )
    insight = SparkTables(task_id="insight", tables=room("insight"), trigger_rule=TriggerRule.NONE_FAILED)
    # the last word is the public table's: a night whose lists were skipped has failed
    page = command(
        "page",
        f"python -m jobs check lists.recommendations --day {DAY} --lake '{LAKE}'"
        " --run-id \"{{ ti.xcom_pull(task_ids='lists') }}\""
        f" && python -m jobs page --day {DAY} --lake '{LAKE}'",
        trigger_rule=TriggerRule.NONE_FAILED,
    )
    chain(raw, sentiment, profiles, champion, untrained(champion.output), pretrain, train, judge, lists, insight, page)
    chain(champion, lists)
