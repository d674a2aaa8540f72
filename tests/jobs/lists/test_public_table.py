"""The public table opens with what analysts have, and the README's questions are answered as they stand there."""

import re
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable

from jobs.lake import Lake, between
from schemas import table
from tests.jobs.conftest import put

README = Path(__file__).parents[3] / "README.md"
DAYS = (date(2017, 12, 30), date(2017, 12, 31))
LISTS = table("lists.recommendations")
OPINIONS = {"relevance": 0.25, "score": 0.5, "diversity": 1.0, "propensity": 1.0, "p_purchase": None}


def row(day, user, rank, item):
    stamps = {
        "policy": "model",
        "model_version": "1",
        "run_id": "r",
        "reason": "You bought this.",
        "surface": "home",
        "rules": [],
    }
    weights = {"relevance": 0.75, "diversity": 0.25}
    return {"day": day, "user_id": user, "rank": rank, "item_id": item, "weights": weights, **stamps, **OPINIONS}


@pytest.fixture(scope="module")
def lake(spark, frame, tmp_path_factory):
    """Two nights of two shoppers with two places, the catalogue, and a refused row."""
    home = tmp_path_factory.mktemp("analyst")
    lake = Lake(spark, str(home / "var/lake"))
    shelf = {"apple": ("fruit", "An apple", 1.5), "bread": ("bakery", "Bread", 2.5)}
    for night in DAYS:
        lists = [row(night, user, rank, item) for user in "ab" for rank, item in enumerate(shelf, 1)]
        items = [
            {"day": night, "item_id": item, "category": category, "title": title, "price": price}
            for item, (category, title, price) in shelf.items()
        ]
        refused = [{"day": night, "table": "raw.events", "rule": "amount", "reason": "amount = -3.0", "source_row": ""}]
        put(lake, frame(LISTS.name, *lists), night, table=LISTS)
        put(lake, frame("catalogue.items", *items), night, table=table("catalogue.items"))
        before = night.replace(day=night.day - 1)
        lake.replace(frame("raw.rejects", *refused), table("raw.rejects"), between("day", before, night), {})
    return lake


def test_the_same_rows_and_types_in_spark_pandas_polars_and_duckdb(lake):
    path = lake.path(LISTS)
    delta = DeltaTable(path)
    arrow = delta.to_pyarrow_dataset()
    seen = {
        "spark": [tuple(each) for each in lake.read(LISTS).select("day", "user_id", "rank", "item_id").collect()],
        "pandas": list(delta.to_pandas()[["day", "user_id", "rank", "item_id"]].itertuples(index=False, name=None)),
        "polars": pl.scan_delta(path).select("day", "user_id", "rank", "item_id").collect().rows(),
        "duckdb": duckdb.sql("SELECT day, user_id, rank, item_id FROM arrow").fetchall(),
    }
    expected = [(day, user, rank, item) for day in DAYS for user in "ab" for rank, item in ((1, "apple"), (2, "bread"))]
    assert {name: sorted(rows) for name, rows in seen.items()} == dict.fromkeys(seen, expected)
    weights = duckdb.sql("SELECT DISTINCT weights['relevance'] AS w, p_click FROM arrow").fetchall()
    assert weights == [(0.75, None)]
    assert arrow.schema.names == LISTS.column_names
    assert str(arrow.schema.field("weights").type) == "map<string, double>"


def test_the_readmes_questions_are_answered(lake, monkeypatch, capsys):
    monkeypatch.chdir(Path(lake.uri).parents[1])
    polars, sql, spark = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    exec(polars, {})
    told = capsys.readouterr().out
    assert "An apple" in told
    assert "shape: (4," in told
    exec(sql, {})
    told = capsys.readouterr().out
    assert re.search(r"fruit\s*│\s*2\s*│\s*0.25", told)
    exec(spark.replace("var/lake", lake.uri), {})  # Spark's Java has been running elsewhere
    told = capsys.readouterr().out
    assert "|raw.events|amount|1        |amount = -3.0|" in told
