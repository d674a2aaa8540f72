"""# Weekly upkeep

Keeps the lake small: drops nights past the retention of their table (`keep_days` in `schemas/`), joins small files, and
deletes files that left their table more than seven days ago.

    upkeep

**Which day.** The run's logical date, a Sunday, the last night that was made: retention counts back from it, never from
the clock. It starts on Monday at four. By hand: `airflow dags test upkeep 2017-12-31`, or `make shell` and
`python -m jobs upkeep --day 2017-12-31`; with `dags test` see to it yourself that no night is running.

**Not beside a night.** Tasks that write the lake share the pool `lake` of one slot, so `upkeep` waits for the night's
task that runs, and the night's next task waits for it. `make` and `docker/compose.yaml` create the pool; a task that
stays in `scheduled` for want of it needs `airflow pools set lake 1 "who writes the lake"`.

**When a task fails.** `upkeep` does one table after the other, each in commits of its own, so what it did stays and
nothing is half done: clear it. "another run wrote the table" means a night outside the pool, such as one by hand.
A reader who misses a file reads a version of a table that is older than seven days: have them read the newest.
"""

from datetime import datetime, timedelta

from airflow.sdk import DAG
from airflow.timetables.trigger import CronTriggerTimetable
from steps import DAY, DEFAULTS, LAKE, POOL, command

with DAG(
    "upkeep",
    description="Every week: drop what is past its retention, join small files, delete old ones",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 4 * * 1", timezone="UTC", interval=timedelta(days=1)),
    start_date=datetime(2000, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["lake"],
):
    command("upkeep", f"python -m jobs upkeep --day {DAY} --lake '{LAKE}'", pool=POOL)
