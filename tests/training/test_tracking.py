"""MLflow: unreachable, empty, and the whole judgement over real exports."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient

from tests.training.conftest import DAY
from training import tracking
from training.__main__ import main
from training.backbone import load_backbone, load_tokenizer
from training.data import load
from training.export import export
from training.judge import judge
from training.model import Recommender


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.chdir(tmp_path)
    return tracking.connect()


def test_an_unreachable_server_is_one_error_soon():
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "training", "champion"],
        env={**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: MLflow at http://127.0.0.1:9 can't be reached")
    assert time.monotonic() - began < 90  # with the start of Python on a busy machine; the attempt itself takes seconds


def test_no_champion(client, capsys):
    assert main(["champion"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "none"


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory, lake, tiny) -> dict[str, Path]:
    """Real exports of an untrained model: a "good" one, and a "bad" one to which what was bought comes last."""
    night, found = load(str(lake), DAY), {}
    for name, again in (("good", 20.0), ("bad", -20.0)):
        torch.manual_seed(1)
        model = Recommender(load_backbone(tiny.backbone_folder), night.known, len(night.tag_names), tiny)
        with torch.no_grad():
            model.users.repeats.base.fill_(again)
        found[name] = tmp_path_factory.mktemp(name)
        tokenizer = load_tokenizer(tiny.backbone_folder, tiny.max_tokens)
        export(model, tokenizer, night.training(), tiny, found[name] / "export")
    return found


def finished_run(client: MlflowClient, night, folder: Path) -> str:
    """A finished run with the export in that folder."""
    run_id = tracking.start(client, "finetune", None, {"recipe": "cpu", "day": str(night.day)}, {})
    client.log_artifacts(run_id, str(folder))
    client.set_terminated(run_id)
    return run_id


def test_the_alias_moves_only_to_the_better(client, exports, lake, tiny, capsys):
    night = load(str(lake), DAY)
    good = finished_run(client, night, exports["good"])
    first = judge(client, tiny, night, str(lake))
    assert (first.promoted, first.candidate_version, first.champion_version) == (True, "1", None)
    assert first.figures["candidate"].means["ndcg_at_10"] > first.figures["popularity"].means["ndcg_at_10"]
    assert main(["champion"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1"

    again = judge(client, tiny, night, str(lake))
    assert (again.promoted, again.reason) == (False, "it is the champion already")

    finished_run(client, night, exports["bad"])
    worse = judge(client, tiny, night, str(lake))
    assert (worse.promoted, worse.candidate_version, worse.champion_version) == (False, "2", "1")
    assert worse.figures["champion"] == first.figures["candidate"]
    assert str(tracking.champion(client).version) == "1"

    held = client.get_run(good).data
    assert held.metrics["judge.candidate.ndcg_at_10"] == first.figures["candidate"].means["ndcg_at_10"]
    assert held.metrics["judge.popularity.recall_at_10"] == first.figures["popularity"].means["recall_at_10"]
    assert "card.md" in {file.path for file in client.list_artifacts(good)}
    own = client.search_runs([tracking.experiment(client)], f"tags.stage = 'judge' and tags.judged = '{good}'")[-1]
    assert own.data.tags["mlflow.parentRunId"] == held.tags["mlflow.parentRunId"]
    assert (own.data.tags["promoted"], own.data.metrics) == ("true", held.metrics)
    told = {file.path for file in client.list_artifacts(own.info.run_id)}
    assert told == {"decision.json", "card.md", "ndcg_at_10.png", "recall_at_10.png", "revenue_at_10.png"}


def test_a_champion_whose_export_nothing_reads_any_longer_gives_way(client, exports, lake, tiny, tmp_path):
    night = load(str(lake), DAY)
    old = finished_run(client, night, exports["good"])
    assert judge(client, tiny, night, str(lake)).promoted
    manifest = client.download_artifacts(old, "export/manifest.json", str(tmp_path))
    told = json.loads(Path(manifest).read_text())
    client.log_dict(old, told | {"format": told["format"] - 1}, "export/manifest.json")

    finished_run(client, night, exports["good"])
    decision = judge(client, tiny, night, str(lake))
    assert "champion" not in decision.figures
    assert decision.promoted
    assert str(tracking.champion(client).version) == "2"


def test_a_folds_run_is_no_run_of_its_night(client):
    tags = {"recipe": "cpu", **tracking.day_tags(DAY, DAY)}
    client.set_terminated(fold := tracking.start(client, "finetune", None, tags, {}))
    assert tracking.trained_run(client, "cpu", DAY) is None
    client.set_terminated(own := tracking.start(client, "finetune", None, {"recipe": "cpu", "day": str(DAY)}, {}))
    assert tracking.trained_run(client, "cpu", DAY).info.run_id == own
    runs = [client.get_run(each) for each in (fold, own)]
    assert [run.data.tags["stage"] for run in runs] == ["fold.finetune", "finetune"]
    assert len({run.data.tags["mlflow.parentRunId"] for run in runs}) == 1


def test_judging_without_a_run(client, lake, tiny):
    with pytest.raises(ValueError, match=f"no finished run of recipe cpu for {DAY}"):
        judge(client, tiny, load(str(lake), DAY), str(lake))
