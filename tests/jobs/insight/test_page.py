"""The page shows what the night's tables hold, and nothing that they don't."""

import html
import re
from datetime import UTC, date, datetime

import mlflow
import pytest

from jobs.insight.page import show, summary
from jobs.lake import Lake, between
from schemas import table
from tests.jobs.conftest import registered

NIGHT, BEFORE = date(2024, 5, 31), date(2024, 5, 30)
TITLES = {"apple": "Red & <b>round</b> apples", "bread": "面包"}


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    """A registered version whose judge measured two contenders."""
    with registered(tmp_path_factory.mktemp("registry")) as (client, run_id, version):
        client.log_metric(run_id, "judge.candidate.ndcg_at_10", 0.25)
        client.log_metric(run_id, "judge.popularity.ndcg_at_10", 0.125)
        client.log_metric(run_id, "judge.candidate.mrr_at_20", 0.5)  # too many to show them all
        client.log_metric(run_id, "loss", 3.0)
        yield version


@pytest.fixture(scope="module")
def lake(spark, frame, version, tmp_path_factory):
    """Two nights; on the second three loyal shoppers, a new one and one without a history, a reject, a broken check."""
    lake = Lake(spark, str(tmp_path_factory.mktemp("night") / "lake"))

    def put(name, *rows):
        contract = table(name)
        for night in (BEFORE, NIGHT):
            made = frame(name, *({contract.night: night} | row for row in rows))
            where = between(contract.night, night.replace(day=night.day - 1), night)
            lake.replace(made, contract, where, {})

    people = {"c": "loyal", "a": "new", "b": "loyal", "d": "none", "e": "loyal"}
    put("profiles.users", *({"user_id": u, "segment": s, "baskets": 2, "value": 1234.5} for u, s in people.items()))
    times = [datetime(2024, 5, day, tzinfo=UTC) for day in range(1, 11)]
    old = {"item_ids": ["apple"] * 9 + ["bread"], "times": times, "amounts": [1.0] * 9 + [2.5], "baskets": ["x"] * 10}
    put("behaviour.histories", *({"user_id": u, "length": 10, **old} for u in "abce"))
    put("catalogue.items", *({"item_id": i, "title": title, "price": 1.5} for i, title in TITLES.items()))
    stamps = {"surface": "home", "policy": "model", "model_version": version, "run_id": "r", "reason": "Bought again"}
    fronts = []
    places = [{"rank": 2, "item_id": "apple"}, {"rank": 1, "item_id": "bread"}]
    put(
        "lists.recommendations",
        *({"user_id": u, "p_purchase": 0.5} | stamps | place for u in people for place in places),
    )
    tried = {
        "surface": "home",
        "efficient": True,
        "users": 5.0,
        "search": "dual",
        "units": {},
        "caps": {},
        "rail": "none",
    }
    for audience, point, weights, measures, told in (
        ("loyal", 0, (0.5, 0.5), (0.25, 2.0), "The loyal ones' bargain."),
        ("everybody", 1, (1.0, 0.0), (0.5, 1.0), ""),
        ("everybody", 0, (0.75, 0.25), (0.375, 1.5), "A bargain."),
    ):
        moved = {"reranker": "dpp", "calibration": 0.25, "category_share": 0.5} if audience == "loyal" else {}
        tried |= {"audience": audience, "point": point, "chosen": not point, "told": told, "hypervolume": 0.5}
        mixed = dict(zip(("relevance", "expected_revenue"), weights, strict=True))
        fronts.append(
            tried | moved | {"weights": mixed, "measures": dict(zip(("ndcg", "revenue"), measures, strict=True))}
        )
    put("lists.front", *fronts)
    put("raw.rejects", {"table": "raw.events", "rule": "amount", "reason": "amount = -3.0", "source_row": "{}"})
    check = {"table": "raw.items", "expectation": "unique", "severity": "table", "observed": "2", "expected": "0"}
    put("insight.quality", check | {"success": False}, check | {"success": True})
    return lake


def test_counts_and_figures_are_the_nights(lake):
    told = summary(lake.uri, NIGHT)
    counted = {row["name"]: (row["tonight"], row["all"]) for row in told["tables"]}
    assert counted["lists.recommendations"] == (10, 20)
    assert counted["raw.promotions"] == (None, None)
    assert (told["users"], told["lists"], told["checks"]["held"]) == (5, 10, 1)
    assert [(row["table"], row["rule"], row["count_all"]) for row in told["rejects"]] == [("raw.events", "amount", 1)]
    assert told["metrics"] == [
        {"name": "candidate", "figures": {"ndcg_at_10": 0.25}},
        {"name": "popularity", "figures": {"ndcg_at_10": 0.125}},
    ]
    assert told["absent"] == ["p_click", "expected_revenue", "margin", "fairness"]


def test_one_shopper_of_each_of_three_segments_with_the_latest_events_first(lake):
    shown = summary(lake.uri, NIGHT)["shoppers"]
    assert [(user["user_id"], user["segment"]) for user in shown] == [("b", "loyal"), ("a", "new"), ("d", "none")]
    loyal, _, unknown = shown
    assert [event["title"] for event in loyal["history"]] == [TITLES["bread"]] + [TITLES["apple"]] * 7
    assert loyal["history"][0] == {"title": "面包", "day": date(2024, 5, 10), "amount": 2.5}
    assert unknown["history"] == []
    assert [(row["rank"], row["title"], row["price"]) for row in unknown["list"]] == [
        (1, TITLES["bread"], 1.5),
        (2, TITLES["apple"], 1.5),
    ]


def test_both_forms_say_the_same_and_a_title_is_no_markup(lake, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NIGHT_PAGES", str(tmp_path))
    monkeypatch.setenv("NIGHT_DOCS", "/the/docs")
    file = show(lake.uri, NIGHT)
    assert file == tmp_path / "2024-05-31.html"
    written, printed = file.read_text(encoding="utf-8"), capsys.readouterr().out
    assert "<b>round</b>" not in written
    seen = html.unescape(re.sub(r"<[^>]+>", " ", written))
    for text in (seen, printed):
        for part in (*TITLES.values(), "amount = -3.0", "1,234.50", "0.2500", "Bought again", "saw 2, expected 0"):
            assert part in text
        assert "/the/docs/index.html" in text


def test_the_front_is_drawn_with_every_point_and_the_chosen_one_first(lake):
    front = summary(lake.uri, NIGHT)["front"]
    assert list(front["audiences"]) == ["everybody", "loyal"]
    assert front["measures"] == ["ndcg", "revenue"]
    everybody = front["audiences"]["everybody"]
    assert front["audiences"]["loyal"]["points"][0]["reranked"].startswith("dpp, calibration 0.250")
    assert everybody["points"][0]["reranked"] == "mmr"
    assert everybody["told"] == "A bargain."
    assert [(point["chosen"], point["measures"]["revenue"]) for point in everybody["points"]] == [
        (True, 1.5),
        (False, 1),
    ]


def test_the_choice_is_in_mlflow_once_however_often_the_page_is_made(lake, version, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NIGHT_PAGES", str(tmp_path))
    for _ in range(2):
        show(lake.uri, NIGHT)
    printed = capsys.readouterr().out
    assert re.search(r"everybody +0\.750 +0\.250", printed)
    assert "A bargain." in printed
    assert re.search(
        r"loyal +0\.500 +0\.500  dpp, calibration 0\.250, one category at most 0\.50 of the list\n", printed
    )
    client = mlflow.MlflowClient()
    (run,) = client.search_runs(["1"], f"tags.stage = 'lists' and tags.day = '{NIGHT}'")
    assert run.data.tags["model_version"] == version
    assert run.data.metrics["front.everybody.revenue"] == 1.5
    assert run.data.metrics["front.loyal.weight.expected_revenue"] == 0.5
    told = {name: value for name, value in run.data.metrics.items() if name.endswith(("dpp", "calibration", "share"))}
    assert told == {"front.loyal.dpp": 1.0, "front.loyal.calibration": 0.25, "front.loyal.category_share": 0.5}
    assert run.data.metrics["front.everybody.hypervolume"] == 0.5
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["front.html"]
