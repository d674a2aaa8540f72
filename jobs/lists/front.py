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
from jobs.lists.bargains import SHOPPERS, Points, policy, settled
from jobs.lists.genetic import genetic
from jobs.lists.held import Held, lines, scales_of
from jobs.lists.learning import afforded, cost
from jobs.lists.offered import TOLD, Shelf, objectives
from jobs.lists.weighed import parameters
from jobs.ranking.rerank import NEUTRAL, RERANKERS
from jobs.ranking.search import Problem, dual, grid
from jobs.ranking.tried import Tried
from jobs.ranking.values import Scale
from jobs.reads import before, last, on
from schemas.lists import SURFACES, Surface
from schemas.objectives import EXPLORING, TERMS, WEIGHTS

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
    histories = agreed(histories, who)
    shelf = Shelf.pull(vectors, items, histories, who, day)
    weeks = trials.where(F.datediff(F.lit(day), "day") % 7 == 0)
    pasts = histories if TERMS.reranking else None
    audience = audiences(users).join(who.where("personal").select("user_id"), on="user_id", how="left_semi")
    rows = lines(weeks, vectors, audience, pasts).toArrow().sort_by([("day", "ascending"), ("user_id", "ascending")])
    since = _last(last_front)
    made = []
    for surface in SURFACES:
        mine = rows.filter(pc.equal(rows["surface"], surface.name))
        if mine.num_rows:
            held = Held.of(mine, shelf, surface, day, TERMS.half_life)
            told = _searched(held, since.get(surface.name, {}), shelf)
        else:
            told = [_untried(candidates.where(F.col("surface") == surface.name), shelf, surface)]
        made += [{"day": day, "surface": surface.name, **each} for each in told]
    table = schemas.table("lists.front")
    return trials.sparkSession.createDataFrame([tuple(map(each.get, table.column_names)) for each in made], table.ddl)


def _searched(held: Held, since: dict[str, dict[str, float]], shelf: Shelf) -> list[dict]:
    """The points of each audience, as rows."""
    tried = Tried(held.trial, held.names, held.measures, held.counts, TERMS.prior, TERMS.reranking)
    problem = Problem(held.trial, held.names, tried.evaluate, TERMS.reranking, TERMS.floor)
    with threadpool_limits(1):  # many small products, which threads would only wait for
        SEARCHES[TERMS.search](problem, TERMS.evaluations)
        members = {EVERYBODY: np.ones(len(held.trial), bool)}
        members |= {name: held.audience == name for name in sorted(set(held.audience) - {EVERYBODY})}
        points = settled(tried, members, since, TERMS)
        loss = cost(held, dict(zip(tried.columns, points[EVERYBODY].policy.tolist(), strict=True)), shelf)
    about = {"search": TERMS.search, **_scales(held.scales)}
    made = [about | row for name, each in points.items() for row in _rows(name, each, tried, members[name])]
    made[0] |= _explored(loss, made[0]["told"])
    return made


def _explored(each: float, told: str) -> dict:
    """The columns of exploration, where a place costs ``each``."""
    places = afforded(each)
    cut = f", cut from {EXPLORING.budget:.2f} to keep to {EXPLORING.most:.1%}," if places < EXPLORING.budget else ""
    words = f"{told} Exploration of {places:.2f} places a list{cut} costs {each * places:.2%} of {SHOPPERS}."
    return {"explored": places, "explored_cost": each * places, "told": words}


def _rows(audience: str, points: Points, tried: Tried, members: np.ndarray) -> list[dict]:
    """Of everybody all points, of other audiences the chosen one and the front."""
    measures, policies = tried.measures, tried.tried
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
        **_policy(points.policy, tried),
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
            **_policy(policies[place], tried),
            "measures": dict(zip(measures, points.values[place].tolist(), strict=True)),
            "rail": "none",
            "told": "",
        }
        for number, place in enumerate(kept, start=1)
    ]
    return [about | each for each in (first, *others)]


def _policy(row: np.ndarray, tried: Tried) -> dict:
    """The columns of a policy, float64 [o + s]."""
    told = dict(zip(tried.columns, row.tolist(), strict=True))
    return {"weights": {name: told[name] for name in tried.names}, **_parameters(told)}


def _parameters(told: dict[str, float]) -> dict:
    """The columns of parameters by name; neutral where one is missing."""
    told = NEUTRAL | told
    return {
        "reranker": RERANKERS[int(told["dpp"])],
        "calibration": told["calibration"],
        "category_share": told["category_share"],
    }


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
        **_parameters({}),
        "explored": EXPLORING.budget,
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
    """Weights and parameters of the latest night, by surface and audience."""
    if last_front is None:
        return {}
    told: dict[str, dict[str, dict[str, float]]] = {}
    rows = last_front.where("chosen AND size(measures) > 0").orderBy("day").collect()
    for row in rows:  # a later night's take the place of an earlier one's
        told.setdefault(row["surface"], {})[row["audience"]] = dict(row["weights"]) | parameters(row)
    return told
