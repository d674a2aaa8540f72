"""The page that ends a night: what was read, rejected, learned and listed, for a person.

Reads the lake through ``deltalake`` and Arrow, so that it opens in seconds without Spark.
"""

import os
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

import schemas
from jobs.insight import fronts
from jobs.insight.pages import folder
from jobs.lake import path
from jobs.model import judged, record
from jobs.night import Night
from schemas import Table

SHOWN_HISTORY = 8
HEADLINE = ("ndcg_at_10", "recall_at_10", "revenue_at_10", "coverage_at_10")  # of some thirty metrics of the judge


def show(lake: str, day: date) -> Path:
    """Prints the night ``day`` and writes it as a web page; returns the page's path.

    Raises:
        ValueError: if no lists were published for that night.
    """
    told = summary(lake, day)
    templates = Environment(
        loader=PackageLoader("jobs.insight", "."),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["money"] = lambda value: "–" if value is None else f"{value:,.2f}"
    page = folder() / f"{day}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(templates.get_template("page.html").render(told), encoding="utf-8")
    print(templates.get_template("page.txt").render(told, page=page))
    if told["front"]:
        plot = templates.get_template("alone.html").render(told)
        record(day, told["version"], fronts.figures(_rows(lake, "lists.front", day)), {"front.html": plot})
    return page


def summary(lake: str, day: date) -> dict:
    """Everything the page shows, as plain values."""
    lists = _rows(lake, "lists.recommendations", day)
    if lists is None or not lists.num_rows:
        raise ValueError(f"lists.recommendations in {lake} has no lists for {day}: see the night's log, then rerun it")
    version, front = lists["model_version"][0].as_py(), _rows(lake, "lists.front", day)
    return {
        "day": day,
        "day_before": day - timedelta(days=1),
        "lake": lake,
        "docs": os.environ.get("NIGHT_DOCS", Night.docs),
        "tables": [_table(lake, table, day) for table in schemas.TABLES.values()],
        "rejects": _counted(_rows(lake, "raw.rejects", day), ["table", "rule"]),
        "checks": _checks(_rows(lake, "insight.quality", day)),
        "version": version,
        "metrics": [_headline(contender) for contender in judged(version)],
        "absent": [
            name
            for name in ("p_click", "p_purchase", "expected_revenue", "margin", "fairness")
            if lists[name].null_count == len(lists)
        ],
        "front": fronts.plotted(front),
        "choices": fronts.choices(front),
        "shoppers": _shoppers(lake, day, lists),
        "lists": lists.num_rows,
        "users": pc.count_distinct(lists["user_id"]).as_py(),
    }


def _headline(contender: dict) -> dict:
    figures = contender["figures"]
    return contender | {"figures": {name: figures[name] for name in HEADLINE if name in figures}}


def _rows(
    lake: str, name: str, day: date, columns: list[str] | None = None, *, where: ds.Expression | None = None
) -> pa.Table | None:
    """Tonight's rows of a table, of all columns or these; None where the lake doesn't have it."""
    table = schemas.table(name)
    try:
        dataset = DeltaTable(path(lake, table)).to_pyarrow_dataset()
    except TableNotFoundError:
        return None
    condition = ds.field(table.night) == pa.scalar(day, pa.date32())
    return dataset.to_table(columns, filter=condition if where is None else condition & where)


def _table(lake: str, table: Table, day: date) -> dict:
    try:
        dataset = DeltaTable(path(lake, table)).to_pyarrow_dataset()
    except TableNotFoundError:
        return {"name": table.name, "doc": table.doc, "tonight": None, "all": None}
    tonight = dataset.count_rows(filter=ds.field(table.night) == pa.scalar(day, pa.date32()))
    return {"name": table.name, "doc": table.doc, "tonight": tonight, "all": dataset.count_rows()}


def _counted(rows: pa.Table | None, by: list[str]) -> list[dict]:
    if rows is None:
        return []
    counted = rows.group_by(by).aggregate([([], "count_all"), ("reason", "min")])
    return counted.sort_by([("count_all", "descending")]).to_pylist()


def _checks(rows: pa.Table | None) -> dict:
    if rows is None:
        return {"held": 0, "broken": []}
    broken = rows.filter(pc.invert(rows["success"]))
    return {"held": rows.num_rows - broken.num_rows, "broken": broken.to_pylist()}


def _shoppers(lake: str, day: date, lists: pa.Table) -> list[dict]:
    """One shopper of each of up to three segments: the first id, so that a rerun shows the same people."""
    users = _rows(lake, "profiles.users", day, ["segment", "user_id", "baskets", "value"])
    firsts = users.group_by("segment").aggregate([("user_id", "min")])["user_id_min"]
    chosen = {user["segment"]: user for user in users.filter(pc.is_in(users["user_id"], firsts)).to_pylist()}
    order = [chosen[name] for name in ("loyal", "occasional", "new", "none") if name in chosen][:3]
    ids = [user["user_id"] for user in order]
    mine = lists.filter(pc.is_in(lists["user_id"], pa.array(ids))).sort_by(
        [("user_id", "ascending"), ("rank", "ascending")]
    )
    histories = _rows(lake, "behaviour.histories", day, where=ds.field("user_id").isin(ids)).to_pylist()
    items = {item["item_id"]: item for item in _titles(lake, day, mine, histories)}
    for user in order:
        history = next((row for row in histories if row["user_id"] == user["user_id"]), None)
        user["history"] = _history(history, items) if history else []
        user["list"] = [
            row | {"title": items[row["item_id"]]["title"], "price": items[row["item_id"]]["price"]}
            for row in mine.to_pylist()
            if row["user_id"] == user["user_id"]
        ]
    return order


def _titles(lake: str, day: date, lists: pa.Table, histories: list[dict]) -> list[dict]:
    wanted = set(lists["item_id"].to_pylist()).union(*(row["item_ids"] for row in histories))
    columns, here = ["item_id", "title", "price"], ds.field("item_id").isin(sorted(wanted))
    return _rows(lake, "catalogue.items", day, columns, where=here).to_pylist()


def _history(row: dict, items: dict[str, dict]) -> list[dict]:
    """The latest events, newest first."""
    latest = list(zip(row["item_ids"], row["times"], row["amounts"], strict=True))[-SHOWN_HISTORY:]
    return [
        {"title": items.get(item, {"title": item})["title"], "day": time.date(), "amount": amount}
        for item, time, amount in reversed(latest)
    ]
