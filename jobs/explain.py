"""Why somebody's list is what it is: every objective, weight and rule, and where an item would stand without each.

python -m jobs explain --user U --day D: the list is made again by the code of the night, from the night's tables.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

import schemas
from jobs.lake import Lake
from jobs.lists.asking import REFUSING
from jobs.lists.choice import TOLD, chooser
from jobs.lists.offered import objectives
from jobs.lists.staged import READS, Desk, desks
from jobs.lists.weighed import words
from jobs.ranking.rules import ruled

_A_DAY = timedelta(days=1)
TABLES = ("candidates", "vectors", "items", "histories", "users", "rules", "preferences", "front")


@dataclass(frozen=True)
class Explained:
    """One list.

    Args:
        surface: its name.
        rows: as in lists.recommendations, each with ``title`` and ``price``, and ``without``: by objective the rank
            that the item would have if that did not count, None for off the list.
        refused: titles of candidates that rules keep from this user, each with the rule's id.
        published: whether the lake holds the same items in the same order.
        reranked: how the list was put together, in words.
    """

    surface: str
    rows: list[dict]
    refused: list[tuple[str, str]]
    published: bool
    reranked: str


def explain(lake: Lake, user: str, day: date) -> list[Explained]:
    """The lists of ``user`` of the night ``day``, one a surface.

    Raises:
        ValueError: if the night has no list of that user.
    """
    public = lake.read(schemas.table("lists.recommendations"), day - _A_DAY, day)
    mine = [row.asDict() for row in public.where(F.col("user_id") == user).collect()]
    if not mine:
        raise ValueError(
            f"lists.recommendations in {lake.uri} has no list for user_id {user!r} on {day}; ids are the pseudonyms "
            "of profiles.users"
        )
    tables = {name: lake.read(schemas.table(READS[name].table), day - _A_DAY, day) for name in TABLES}
    tables["candidates"] = tables["candidates"].where(F.col("user_id") == user)
    told = []
    for desk in desks(**tables, version=mine[0]["model_version"], day=day):
        batches = desk.offers.toArrow().combine_chunks().to_batches()
        published = sorted((row for row in mine if row["surface"] == desk.surface.name), key=lambda row: row["rank"])
        if batches and batches[0].num_rows:
            told.append(_explained(desk, batches[0], published, day))
    return told


def _explained(desk: Desk, batch: pa.RecordBatch, published: list[dict], day: date) -> Explained:
    rows = _list(desk, batch, day)
    without = {
        name: {row["item_id"]: row["rank"] for row in _list(_without(desk, name), batch, day)}
        for name in desk.weighed.names
        if any(0 < dict(row["weights"])[name] < 1 for row in rows)
    }
    block, prices = desk.shelf.block, desk.shelf.named.goods.prices
    for row in rows:
        place = int(block.positions(pa.array([row["item_id"]]))[0])
        row["title"], row["price"] = desk.shelf.titles[place], None if np.isnan(prices[place]) else prices[place]
        row["without"] = {name: ranks.get(row["item_id"]) for name, ranks in without.items()}
    same = [row["item_id"] for row in rows] == [row["item_id"] for row in published]
    return Explained(desk.surface.name, rows, _refused(desk, batch), same, _reranked(desk, batch))


def _list(desk: Desk, batch: pa.RecordBatch, day: date) -> list[dict]:
    (made,) = chooser(desk.shelf, desk.house, desk.weighed, desk.surface, day)(iter([batch]))
    return made.to_pylist()


def _reranked(desk: Desk, batch: pa.RecordBatch) -> str:
    refuses = any(wish["preference"] in REFUSING for wish in batch["wishes"][0].as_py())
    return words({} if refuses else desk.weighed.parameters_of(batch["audience"][0].as_py()))


def _without(desk: Desk, name: str) -> Desk:
    return replace(desk, weighed=desk.weighed.without(name))


def _refused(desk: Desk, batch: pa.RecordBatch) -> list[tuple[str, str]]:
    positions, _ = objectives(batch["offers"], desk.shelf, desk.surface.length)
    held = ruled(
        desk.house.rules, desk.shelf.named.goods, positions, desk.shelf.named.users(batch), desk.surface.length
    )
    rules = desk.house.rules
    return [
        (desk.shelf.titles[position], rules[rule].rule_id)
        for position, rule in zip(positions[0], held.refused_by[0], strict=True)
        if position >= 0 and rule >= 0
    ]


def lines(explained: Explained) -> list[str]:
    """For a terminal: a line a row, and under it what it is made of."""
    told = [f"{explained.surface}: {len(explained.rows)} items"]
    if not explained.published:
        told.append("  The tables have changed since these lists were published: this is what they give now.")
    told.append(f"  put together by {explained.reranked}")
    for row in explained.rows:
        price = "" if row["price"] is None else f"  {row['price']:.2f}"
        told.append(f"{row['rank']:>3}  {row['title']}  [{row['item_id']}]{price}")
        told.append(f"     {row['reason']}")
        weights = dict(row["weights"])
        known = [f"{name} {row[name]:.4g}" for name in (*TOLD, "diversity") if row[name] is not None]
        told.append(f"     score {row['score']:.4f}; {', '.join(known)}")
        told.append(f"     weights {', '.join(f'{name} {weight:.3f}' for name, weight in weights.items() if weight)}")
        if row["rules"]:
            told.append(f"     rules {', '.join(row['rules'])}")
        if row["propensity"] < 1:
            told.append(f"     shown here with probability {row['propensity']:.4f}, by policy {row['policy']}")
        moved = {name: rank for name, rank in row["without"].items() if rank != row["rank"]}
        told += [
            f"     rank {row['rank']} -> {rank or 'off the list'} if {name} did not count"
            for name, rank in moved.items()
        ]
    told += [f"     kept out by rule {rule}: {title}" for title, rule in explained.refused]
    return told
