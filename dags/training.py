"""# Weekly training

A new model version from the lake's last night of the week, and its trial against the champion. The nights go on with
the old champion meanwhile; the first night after a victory uses the new one. Then the model that reads reviews, which
is promoted when it tells more of those it never saw than their most frequent class does; a shop with too few reviews
skips it, and the task's log says how many it takes.

    pretrain > train > judge > sentiment

**Which night.** The run's logical date, a Sunday: its data interval is that day, and it starts on Monday at six, when
Sunday's night is in the lake. By hand: `airflow dags test training 2017-12-31`, for a night that was run.

**When a task fails.** The champion stays. `pretrain` (of the language model, on the shop's text; over at once where the
recipe has none) and `train` go on from their last checkpoint when they are tried again or cleared; "no night" in their
log means that `nightly` has not run for that day: run it, then clear them. `judge` only reads the
lake and MLflow: clear it with all downstream of it. Its verdict, with all figures, is logged in the MLflow run and in
the task's log. `sentiment` goes on from its last checkpoint too; whatever becomes of it, the lists don't wait.
"""

from datetime import datetime, timedelta

from airflow.sdk import DAG, chain
from airflow.timetables.trigger import CronTriggerTimetable
from steps import DEFAULTS, sentiment, training

with DAG(
    "training",
    description="Every week: train a model version and judge it against the champion",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 6 * * 1", timezone="UTC", interval=timedelta(days=1)),
    start_date=datetime(2000, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["model"],
):
    chain(*training(), sentiment())
