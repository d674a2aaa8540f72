"""The night's front for people: a plot of every policy that was tried, on the page and in MLflow."""

import pyarrow as pa

from jobs.lists.audiences import EVERYBODY
from jobs.lists.weighed import moved, parameters, words

AUDIENCES = 40  # shown at most


def plotted(rows: pa.Table | None) -> dict | None:
    """What ``front.html`` draws, by audience; None where no policy was tried.

    Args:
        rows: lists.front of one night and surface.
    """
    tried = [] if rows is None else [row for row in rows.to_pylist() if row["measures"]]
    if not tried:
        return None
    audiences: dict[str, dict] = {}
    for row in sorted(tried, key=lambda row: (row["audience"] != EVERYBODY, row["audience"], row["point"])):
        point = {name: dict(row[name]) for name in ("weights", "measures")}
        point |= {name: row[name] for name in ("chosen", "efficient")} | {"reranked": words(parameters(row))}
        mine = audiences.setdefault(row["audience"], {"points": [], "told": ""})
        mine["points"].append(point)
        if row["chosen"]:
            mine["told"] = row["told"]
    shown = dict(list(audiences.items())[:AUDIENCES])
    return {"audiences": shown, "measures": list(shown[next(iter(shown))]["points"][0]["measures"])}


def choices(rows: pa.Table | None) -> list[dict]:
    """The chosen point of each audience, everybody's first."""
    chosen = [] if rows is None else [row for row in rows.to_pylist() if row["chosen"]]
    told = [
        row | {name: dict(row[name]) for name in ("weights", "measures")} | {"parameters": moved(parameters(row))}
        for row in chosen
    ]
    told = [row | {"reranked": words(row["parameters"])} for row in told]
    return sorted(told, key=lambda row: (row["audience"] != EVERYBODY, row["audience"]))


def figures(rows: pa.Table | None) -> dict[str, float]:
    """By name, for MLflow: what was chosen for each audience, what it had, and how good the front is."""
    found: dict[str, float] = {}
    for row in choices(rows):
        about = f"front.{row['audience'].replace(', ', '_').replace(' ', '_')}"
        found |= {f"{about}.{name}": value for name, value in row["measures"].items()}
        found |= {f"{about}.weight.{name}": value for name, value in row["weights"].items()}
        found |= {f"{about}.{name}": value for name, value in row["parameters"].items()}
        for name in ("hypervolume", "spacing", "gain_share", "moved", "explored", "explored_cost"):
            found |= {} if row[name] is None else {f"{about}.{name}": row[name]}
    return found
