"""The front of list policies, and for each audience the point that makes tonight's lists.

Searched on what people took on days that are over (``lists.trials``); ``schemas.objectives.TERMS`` says how.
"""

from datetime import date

import numpy as np
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from threadpoolctl import threadpool_limits

import schemas
from jobs.lists.asking import agreed, asking
from jobs.lists.audiences import EVERYBODY, audiences
from jobs.lists.bargains import Points, policy, settled
from jobs.lists.genetic import genetic
from jobs.lists.held import Held, lines, scales_of
from jobs.lists.offered import TOLD, Shelf, objectives
from jobs.ranking.search import Problem, dual, grid
from jobs.ranking.tried import Tried
from jobs.ranking.values import Scale
from jobs.reads import before, last, on
from schemas.lists import SURFACES, Surface
from schemas.objectives import TERMS, WEIGHTS

SEARCHES = {"dual": dual, "grid": grid, "genetic": genetic}  # by the name in Terms.search
USERS = 2000  # whose candidates tell the scales where there is no trial
WEEKS = 4  # of trials, each over seven days of its own
READS = {
    "trials": last("lists.trials", 7 * WEEKS),
    "candidates": on("lists.candidates"),
    "vectors": on("lists.vectors"),
    "items": on("catalogue.items"),
    "histories": on("behaviour.histories"),
    "users": on("profiles.users"),
    "preferences": on("profiles.preferences"),
    "last_front": before("lists.front", nights=7, optional=True),
}


def front(
    trials: DataFrame,
    candidates: DataFrame,
    vectors: DataFrame,
    items: DataFrame,
    histories: DataFrame,
    users: DataFrame,
    preferences: DataFrame,
    last_front: DataFrame | None,
    *,
    day: date,
) -> DataFrame:
    """One row a surface, audience and policy that was tried; point 0 of each audience makes its lists.

    Trials of every seventh night back from tonight's take part, so that no day is judged twice; each counts half after
    ``half_life`` days. Where there is none, the weights are those of ``schemas.objectives.WEIGHTS``.

    Args:
        trials: of the last four weeks.
        candidates, vectors, items, histories, users, preferences: of the night.
        last_front: of the last seven nights before; the latest is what weights move from.
    """
    who = asking(users, preferences)
    shelf = Shelf.pull(vectors, items, agreed(histories, who), who, day)
    weeks = trials.where(F.datediff(F.lit(day), "day") % 7 == 0)
    rows = lines(weeks, vectors, audiences(users)).toArrow().sort_by([("day", "ascending"), ("user_id", "ascending")])
    since = _last(last_front)
    made = []
    for surface in SURFACES:
        mine = rows.filter(pc.equal(rows["surface"], surface.name))
        if mine.num_rows:
            held = Held.of(mine, shelf, surface, day, TERMS.half_life)
            told = _searched(held, since.get(surface.name, {}))
        else:
            told = [_untried(candidates.where(F.col("surface") == surface.name), shelf, surface)]
        made += [{"day": day, "surface": surface.name, **each} for each in told]
    table = schemas.table("lists.front")
    return trials.sparkSession.createDataFrame([tuple(map(each.get, table.column_names)) for each in made], table.ddl)


def _searched(held: Held, since: dict[str, dict[str, float]]) -> list[dict]:
    """The points of each audience, as rows."""
    tried = Tried(held.trial, held.names, held.measures, held.counts, TERMS.prior)
    with threadpool_limits(1):  # many small products, which threads would only wait for
        SEARCHES[TERMS.search](Problem(held.trial, held.names, tried.evaluate), TERMS.evaluations)
        members = {EVERYBODY: np.ones(len(held.trial), bool)}
        members |= {name: held.audience == name for name in sorted(set(held.audience) - {EVERYBODY})}
        points = settled(tried, members, since, TERMS)
    about = {"search": TERMS.search, **_scales(held.scales)}
    return [about | row for name, each in points.items() for row in _rows(name, each, tried, members[name])]


def _rows(audience: str, points: Points, tried: Tried, members: np.ndarray) -> list[dict]:
    """Of everybody all points, of other audiences the chosen one and the front."""
    names, measures = tried.names, tried.measures
    about = {
        "audience": audience,
        "users": float(tried.counts[members].sum()),
        "hypervolume": points.hypervolume,
        "spacing": points.spacing,
    }
    first = {
        "point": 0,
        "chosen": True,
        "efficient": points.efficient_choice,
        "weights": dict(zip(names, points.weights.tolist(), strict=True)),
        "measures": dict(zip(measures, points.measures.tolist(), strict=True)),
        "gain_share": points.gain_share,
        "moved": points.moved,
        "rail": points.rail,
        "told": points.told,
    }
    kept = np.flatnonzero(points.efficient | (audience == EVERYBODY))
    others = [
        {
            "point": number,
            "chosen": False,
            "efficient": bool(points.efficient[place]),
            "weights": dict(zip(names, tried.tried[place].tolist(), strict=True)),
            "measures": dict(zip(measures, points.values[place].tolist(), strict=True)),
            "rail": "none",
            "told": "",
        }
        for number, place in enumerate(kept, start=1)
    ]
    return [about | each for each in (first, *others)]


def _untried(candidates: DataFrame, shelf: Shelf, surface: Surface) -> dict:
    """The one row of a night without a trial: the usual weights, on the scales of some of tonight's candidates."""
    offer = F.struct("rank", "item_id", *TOLD)
    rows = candidates.groupBy("user_id").agg(F.sort_array(F.collect_list(offer)).alias("offers"))
    _, values = objectives(rows.orderBy("user_id").limit(USERS).toArrow()["offers"].combine_chunks(), shelf)
    scales = scales_of(values, surface.length)
    names = (*scales, "diversity")
    return {
        "audience": EVERYBODY,
        "point": 0,
        "chosen": True,
        "efficient": True,
        "weights": dict(zip(names, policy(WEIGHTS, names).tolist(), strict=True)),
        "measures": {},
        "users": 0.0,
        "search": "none",
        **_scales(scales),
        "rail": "none",
        "told": "Nobody took anything in the last seven days, so no policy could be tried: the usual weights.",
    }


def _scales(scales: dict[str, Scale]) -> dict[str, dict[str, float]]:
    return {
        "units": {name: scale.unit for name, scale in scales.items()} | {"diversity": 1.0},
        "caps": {name: scale.cap for name, scale in scales.items() if np.isfinite(scale.cap)},
    }


def _last(last_front: DataFrame | None) -> dict[str, dict[str, dict[str, float]]]:
    """Weights of the latest night, by surface and audience."""
    if last_front is None:
        return {}
    chosen = last_front.where("chosen AND size(measures) > 0").select("day", "surface", "audience", "weights").toArrow()
    told: dict[str, dict[str, dict[str, float]]] = {}
    for row in chosen.sort_by("day").to_pylist():  # a later night's take the place of an earlier one's
        told.setdefault(row["surface"], {})[row["audience"]] = dict(row["weights"])
    return told
