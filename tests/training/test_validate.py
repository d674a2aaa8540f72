"""Cross-validation through the real launcher: two weeks of one night, trained, judged, and not trained again."""

import json
import re
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.training.conftest import DAY, write_histories, write_items
from tests.training.launcher import environment, the_run
from training.__main__ import main
from training.checkpoints import Checkpoints
from training.data import load
from training.held_out import Figures, HeldOut
from training.judge import contenders
from training.served import Exported
from training.validate import Fold, spread, validate

pytestmark = pytest.mark.filterwarnings("ignore")

WEEKS = [DAY - timedelta(days=7), DAY]
LINE = re.compile(r"(\w+) +NDCG@10 ([\d.]+)(?: ± ([\d.]+))?  Recall@10 ([\d.]+)(?: ± ([\d.]+))?(?:  (\d+) users)?")


@dataclass
class Validated:
    """What the command was given, and the two times that it was called."""

    home: Path
    lake: Path
    recipe: str
    printed: list[list[str]]
    changed: list[dict[Path, float]]

    def runs(self, stage: str) -> list[Run]:
        """Of a stage, the earliest first."""
        client = MlflowClient(f"sqlite:///{self.home / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("nightly").experiment_id
        return client.search_runs([experiment], f"tags.stage = '{stage}'", order_by=["attributes.start_time"])

    def curve(self, metric: str) -> list[tuple[int, float]]:
        client, run = MlflowClient(f"sqlite:///{self.home / 'mlflow.db'}"), self.runs("validate")[0]
        return [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, metric)]


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory, lake: Path, tiny):
    home = tmp_path_factory.mktemp("validated")
    recipe = home / "mine.json"
    recipe.write_text(json.dumps(asdict(replace(tiny, name="mine", steps=4, warmup=1))))
    command = ["validate", "--recipe", str(recipe), "--day", str(DAY), "--lake", str(lake), "--folds", "2"]
    command += ["--ranks", "1"]
    printed, changed = [], []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(home, tiny).items():
            patch.setenv(name, value)
        patch.chdir(home)
        for _ in range(2):
            with redirect_stdout(StringIO()) as out:
                assert main(command) == 0
            printed.append(out.getvalue().splitlines())
            changed.append({path: path.stat().st_mtime for path in sorted((home / "checkpoints").rglob("*"))})
        yield Validated(home, lake, str(recipe), printed, changed)


def checkpoints(week) -> Checkpoints:
    return Checkpoints.of("mine", week, "finetune", DAY)


def test_what_it_prints(validated: Validated):
    lines = validated.printed[0]
    titles = [f"fold {number} of 2, the week up to {week}" for number, week in enumerate(WEEKS, 1)]
    assert lines[0::4][:3] == [*titles, "mean of 2 folds, with the standard deviation between them"]
    told = [LINE.fullmatch(line) for place, line in enumerate(lines[:12]) if place % 4]
    assert [match[1] for match in told] == ["candidate", "popularity", "top_frequency"] * 3
    for older, newer, both in zip(told[:3], told[3:6], told[6:], strict=True):
        assert float(both[2]) == pytest.approx((float(older[2]) + float(newer[2])) / 2, abs=1e-4)
        assert float(both[3]) == pytest.approx(abs(float(older[2]) - float(newer[2])) / 2**0.5, abs=2e-4)
        assert float(both[4]) == pytest.approx((float(older[4]) + float(newer[4])) / 2, abs=1e-4)


def test_each_fold_is_judged_on_its_own_week_by_its_own_model(validated: Validated):
    for step, week in enumerate(WEEKS, 1):
        night = load(str(validated.lake), week, DAY)
        export = Exported(checkpoints(week).model / "export")
        assert export.manifest["trained_before"] == night.cut
        held_out = HeldOut(night)
        for who, lists in contenders(export.serve(night), night, held_out.users).items():
            means = held_out.figures(lists).means
            for metric in ("ndcg_at_10", "recall_at_10"):
                assert dict(validated.curve(f"judge.{who}.{metric}"))[step] == pytest.approx(means[metric])


def test_what_mlflow_holds(validated: Validated):
    run, trained = validated.runs("validate")[0], validated.runs("fold.finetune")
    (one, older), (two, newer) = validated.curve("judge.candidate.ndcg_at_10")
    assert (one, two) == (1, 2)
    assert run.data.metrics["mean.candidate.ndcg_at_10"] == pytest.approx((older + newer) / 2)
    assert run.data.metrics["std.candidate.ndcg_at_10"] == pytest.approx(abs(older - newer) / 2**0.5)
    assert run.data.params == {"recipe": "mine", "day": str(DAY), "folds": "2"}
    assert run.data.tags["delta_version.behaviour.histories"] == "0"
    night = the_run(validated.home, "night").info.run_id
    assert {each.data.tags["mlflow.parentRunId"] for each in (run, *trained)} == {night}
    client = MlflowClient(f"sqlite:///{validated.home / 'mlflow.db'}")
    told = json.loads(Path(client.download_artifacts(run.info.run_id, "validation.json")).read_text())
    assert [(fold["day"], fold["run_id"]) for fold in told["folds"]] == [
        (str(week), each.info.run_id) for week, each in zip(WEEKS, trained, strict=True)
    ]
    low, high = told["folds"][0]["figures"]["candidate"]["intervals"]["ndcg_at_10"]
    assert low <= older <= high
    assert told["folds"][0]["ahead"].keys() == {"popularity", "top_frequency"}
    assert told["mean"]["popularity"]["recall_at_10"] == run.data.metrics["mean.popularity.recall_at_10"]


def test_it_makes_no_version_and_no_night(validated: Validated):
    client = MlflowClient(f"sqlite:///{validated.home / 'mlflow.db'}")
    assert client.search_registered_models() == []
    assert validated.runs("finetune") == []
    assert [client.list_artifacts(run.info.run_id, "export") for run in validated.runs("fold.finetune")] == [[], []]
    assert sorted(path.name for path in (validated.home / "checkpoints/mine").iterdir()) == [
        f"{week}-of-{DAY}" for week in WEEKS
    ]


def test_a_second_call_trains_nothing_and_says_the_same(validated: Validated):
    assert validated.printed[1][:-1] == validated.printed[0][:-1]
    assert validated.changed[1] == validated.changed[0]
    assert len(validated.runs("fold.finetune")) == 2


def test_folds_of_a_recipe_that_was_changed_are_refused(validated: Validated, tmp_path: Path, tiny, capsys):
    (tmp_path / "mine.json").write_text(json.dumps(asdict(replace(tiny, name="mine", steps=5, warmup=1))))
    command = ["validate", "--recipe", str(tmp_path / "mine.json"), "--day", str(DAY), "--lake", str(validated.lake)]
    assert main([*command, "--folds", "2"]) == 1
    assert "another run's (steps was 4, is 5); delete it to start anew" in capsys.readouterr().err


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lake: Path, tiny):
    """Makes a shell script the launcher, and gives the command line of a validation by it."""

    def make(script: str) -> list[str]:
        (tmp_path / "deepspeed").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "deepspeed").chmod(0o755)
        (tmp_path / "mine.json").write_text(json.dumps(asdict(tiny)))
        return ["validate", "--recipe", str(tmp_path / "mine.json"), "--day", str(DAY), "--lake", str(lake)]

    for name, value in environment(tmp_path, tiny).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    return make


def test_training_that_fails_is_one_error(stand_in, capfd):
    assert main(stand_in('echo "$@"; exit 3')) == 1
    out, err = capfd.readouterr()
    oldest = DAY - timedelta(days=21)
    assert re.search(rf"--num_accelerators 2 .* training\.finetune .* --day {oldest} .* --night {DAY}\n", err)
    assert f"error: training.finetune of {oldest} ended with code 3, see its log above" in err
    assert out == ""


def test_ended_it_ends_its_training(stand_in, tmp_path: Path, capfd):
    """The stand-in ends its parent, as a person would, and tells that it was ended in turn."""
    ended = 'trap "echo over > $HOME/ended; exit 1" TERM; kill $PPID; for each in $(seq 600); do sleep 0.1; done'
    assert main(stand_in(ended.replace("$HOME", str(tmp_path)))) == 1
    assert (tmp_path / "ended").read_text() == "over\n"


def test_a_fold_without_a_past_stops_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NIGHT_CHECKPOINTS", str(tmp_path / "checkpoints"))
    write_histories(tmp_path, {"u": [("a", 12), ("a", 3)]})
    write_items(tmp_path, {"a": "milk"})
    with pytest.raises(ValueError, match="training needs more days than it holds out"):
        next(validate("cpu", DAY, str(tmp_path), 2, ranks=1))
    assert not (tmp_path / "checkpoints").exists()
    with pytest.raises(ValueError, match="folds is 1; cross-validation needs 2 or more"):
        next(validate("cpu", DAY, str(tmp_path), 1, ranks=1))


def test_the_spread_is_of_what_all_folds_have():
    first, second = ({"ndcg_at_10": 0.1, "revenue_at_10": 3.0}, {"ndcg_at_10": 0.3})
    folds = [Fold(DAY, "", {}, {"candidate": Figures(9, means, {}, {})}, {}) for means in (first, second)]
    over = spread(folds)
    assert over["mean"] == {"candidate": {"ndcg_at_10": pytest.approx(0.2)}}
    assert over["std"] == {"candidate": {"ndcg_at_10": pytest.approx(0.02**0.5)}}
