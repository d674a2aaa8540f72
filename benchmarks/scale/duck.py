"""The same log and profiles in DuckDB."""

import time
from datetime import date
from pathlib import Path

import duckdb

from jobs.profiles.tastes import DOUBT, FAVOURITES, FEWEST, SAMPLE
from schemas.profiles import HALF_LIFE, HALF_LIVES, LATELY, RECENT

LOG = """
COPY (
  WITH known AS (
    SELECT CAST(ts AS DATE) AS day, e.day AS arrived, event_id, event_type, ts, n.user_id, e.item_id, basket_id,
      quantity, amount, amount / quantity AS unit_price, discount,
      row_number() OVER (PARTITION BY event_id ORDER BY e.day, ts) AS copy
    FROM '{folder}/events/*.parquet' e
    JOIN '{folder}/names.parquet' n ON n.source_id = e.user_id
    SEMI JOIN '{folder}/items.parquet' i ON i.item_id = e.item_id
  ), before AS (
    SELECT * EXCLUDE copy, lag(ts) OVER line AS previous FROM known WHERE copy = 1
    WINDOW line AS (PARTITION BY user_id, arrived - day ORDER BY ts, event_id)
  )
  SELECT * EXCLUDE previous, user_id || '-' || CAST(epoch(last_value(
      CASE WHEN previous IS NULL OR ts >= previous + INTERVAL 30 MINUTES THEN ts END IGNORE NULLS
    ) OVER (PARTITION BY user_id, arrived - day ORDER BY ts, event_id ROWS UNBOUNDED PRECEDING)) AS BIGINT)
    AS session_id
  FROM before
) TO '{out}/log.parquet' (FORMAT parquet)
"""

LINES = """
CREATE TEMP TABLE weights AS
WITH ranked AS (
  SELECT item_id, nullif(category, 'unknown') AS category, brand,
    CASE WHEN price IS NOT NULL AND category <> 'unknown' AND count(*) OVER c > 1
      THEN CAST(percent_rank() OVER (PARTITION BY category, price IS NULL ORDER BY price) AS DECIMAL(18, 12))
      END AS rank
  FROM '{folder}/items.parquet' WINDOW c AS (PARTITION BY category, price IS NULL)
), lines AS (
  SELECT user_id, item_id, count(*) AS lines, day > DATE '{day}' - {lately} AS late,
    {decayed}
  FROM '{out}/log.parquet' WHERE event_type = 'purchase' GROUP BY user_id, item_id, late
), named AS (
  SELECT user_id, 'category' AS kind, category AS name, rank, lines.* EXCLUDE (user_id, item_id)
    FROM lines JOIN ranked USING (item_id) WHERE category IS NOT NULL
  UNION ALL
  SELECT user_id, 'brand', brand, NULL, lines.* EXCLUDE (user_id, item_id)
    FROM lines JOIN ranked USING (item_id) WHERE brand IS NOT NULL
)
SELECT user_id, kind, name, {sums}, sum(CASE WHEN late THEN lines ELSE 0 END) AS bought,
  sum(rank * lines) AS ranks, sum(CASE WHEN rank IS NOT NULL THEN lines END) AS ranked
FROM named GROUP BY user_id, kind, name
"""

CHOSEN = """
WITH kinds AS (SELECT count(DISTINCT category) AS kinds FROM '{folder}/items.parquet' WHERE category <> 'unknown'),
sample AS (
  SELECT * FROM weights WHERE kind = 'category'
    AND user_id IN (SELECT user_id FROM '{folder}/names.parquet' ORDER BY user_id LIMIT {sample})
),
told AS (SELECT *, {alls} FROM sample WINDOW mine AS (PARTITION BY user_id))
SELECT coalesce(sum(bought), 0), {likely} FROM told, kinds WHERE bought > 0 AND all_{longest} > 0
"""

USERS = """
COPY (
  WITH baskets AS (
    SELECT user_id, basket_id, min(ts) AS began, max(day) AS last FROM '{out}/log.parquet'
    WHERE event_type = 'purchase' GROUP BY user_id, basket_id
  ), days AS (
    SELECT user_id, day - lag(day) OVER (PARTITION BY user_id ORDER BY day) AS gap
    FROM (SELECT DISTINCT user_id, CAST(began AS DATE) AS day FROM baskets)
  ), cadence AS (SELECT user_id, median(gap) AS cadence_days FROM days GROUP BY user_id),
  visits AS (
    SELECT user_id, count(*) AS baskets, count_if(last > DATE '{day}' - {recent}) AS recent_baskets,
      max(last) AS last_purchase, {weekdays} FROM baskets GROUP BY user_id
  ), counted AS (
    SELECT user_id, count(*) AS events, min(day) AS first_day, max(day) AS last_day,
      CAST(sum(CASE WHEN day > DATE '{day}' - {recent} THEN CAST(amount AS DECIMAL(18, 4)) END) AS DOUBLE) AS value,
      CAST(sum(CAST(discount AS DECIMAL(18, 4))) AS DOUBLE)
        / CAST(sum(CAST(discount AS DECIMAL(18, 4)) + CAST(amount AS DECIMAL(18, 4))) AS DOUBLE) AS discount_share
    FROM '{out}/log.parquet' GROUP BY user_id
  ), shares AS (
    SELECT user_id, kind, name, CAST(now_{chosen} AS DOUBLE) / CAST(sum(now_{chosen}) OVER mine AS DOUBLE) AS share,
      bought / nullif(sum(bought) OVER mine, 0) AS intent,
      row_number() OVER (mine ORDER BY now_{chosen} DESC, name) AS place,
      row_number() OVER (mine ORDER BY bought DESC, name) AS late_place
    FROM weights WHERE now_{chosen} > 0 WINDOW mine AS (PARTITION BY user_id, kind)
  ), kinds AS (SELECT count(DISTINCT category) AS kinds FROM '{folder}/items.parquet' WHERE category <> 'unknown'),
  tastes AS (
    SELECT user_id, map_from_entries(list((name, share)) FILTER (kind = 'category' AND place <= {most})) AS categories,
      map_from_entries(list((name, share)) FILTER (kind = 'brand' AND place <= {most})) AS brands,
      map_from_entries(list((name, intent)) FILTER (kind = 'category' AND intent > 0 AND late_place <= {most}))
        AS intent,
      least(sum(CASE WHEN kind = 'category' THEN -share * ln(share) END) / ln(any_value(kinds)), 1) AS variety
    FROM shares, kinds GROUP BY user_id
  ), levels AS (
    SELECT user_id, CAST(sum(ranks) AS DOUBLE) / sum(ranked) AS price_level FROM weights GROUP BY user_id
  )
  SELECT user_id, events, baskets, first_day, last_day, DATE '{day}' - last_purchase AS recency_days,
    recent_baskets / 13 AS frequency, greatest(coalesce(value, 0), 0) AS value, price_level, discount_share, categories,
    brands, variety, intent, {chosen} AS half_life_days, cadence_days,
    {named}
  FROM counted JOIN visits USING (user_id) LEFT JOIN cadence USING (user_id) LEFT JOIN tastes USING (user_id)
    LEFT JOIN levels USING (user_id)
) TO '{out}/users.parquet' (FORMAT parquet)
"""


MEMORY = "8GB"  # the rest it writes to disk


def run(folder: Path, out: Path, day: date) -> dict[str, float]:
    """Wall seconds of the log and of the profiles of all of it; ``out`` holds the rows of both.

    Raises:
        MemoryError: if MEMORY isn't enough.
    """
    try:
        return _run(folder, out, day)
    except duckdb.OutOfMemoryException as error:
        raise MemoryError(str(error)) from error


def _run(folder: Path, out: Path, day: date) -> dict[str, float]:
    out.mkdir(parents=True)
    told = {"folder": folder, "out": out, "day": day, "lately": LATELY, "recent": RECENT, "most": FAVOURITES}
    told |= {"sample": SAMPLE}
    with duckdb.connect(str(out / "duck.db")) as db:
        db.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false; SET enable_progress_bar = false")
        db.execute(f"SET memory_limit = '{MEMORY}'")
        began = time.perf_counter()
        db.execute(LOG.format(**told))
        logged = time.perf_counter()
        db.execute(_lines(told))
        db.execute(USERS.format(**told, chosen=_chosen(db, told), **_weekdays()))
        return {"log": logged - began, "profiles": time.perf_counter() - logged}


def _lines(told: dict) -> str:
    weight = "sum(CAST(pow(2, -(DATE '{day}' - day) / {each}) AS DECIMAL(18, 12))) AS now_{each}"
    decayed = ", ".join(weight.format(day=told["day"], each=each) for each in HALF_LIVES)
    sums = [f"sum(now_{each}) AS now_{each}" for each in HALF_LIVES]
    sums += [f"sum(CASE WHEN late THEN 0 ELSE now_{each} END) AS then_{each}" for each in HALF_LIVES]
    return LINES.format(**told, decayed=decayed, sums=", ".join(sums))


def _chosen(db: duckdb.DuckDBPyConnection, told: dict) -> int:
    alls = ", ".join(f"CAST(sum(then_{each}) OVER mine AS DOUBLE) AS all_{each}" for each in HALF_LIVES)
    likely = ", ".join(
        f"sum(bought * ln({1 - DOUBT} * coalesce(CAST(then_{each} AS DOUBLE) / nullif(all_{each}, 0), 1 / kinds) "
        f"+ {DOUBT} / kinds))"
        for each in HALF_LIVES
    )
    bought, *sums = db.execute(CHOSEN.format(**told, alls=alls, likely=likely, longest=max(HALF_LIVES))).fetchone()
    if bought < FEWEST:
        return HALF_LIFE
    return max(zip(sums, HALF_LIVES, strict=True), key=lambda one: (one[0], one[1] == HALF_LIFE))[1]


def _weekdays() -> dict[str, str]:
    names = [f"day_{number}" for number in range(7)]
    counts = (f"count_if(isodow(began) = {number + 1}) AS {name}" for number, name in enumerate(names))
    return {"weekdays": ", ".join(counts), "named": ", ".join(f"{name} / baskets AS {name}" for name in names)}
