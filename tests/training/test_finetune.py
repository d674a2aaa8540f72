"""The real launcher, two ranks, a tiny backbone: killed and resumed, exported, judged."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.training.conftest import DAY

pytestmark = pytest.mark.filterwarnings("ignore")
ROOT = Path(__file__).parents[2]


def environment(home: Path, recipe, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "DS_ACCELERATOR": "cpu",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": str(ROOT),
        "MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow.db'}",
        "NIGHT_CHECKPOINTS": str(home / "checkpoints"),
        "TINY_RECIPE": json.dumps(asdict(recipe)),
        **more,
    }


def launch(home: Path, lake: Path, recipe, ranks: int = 2, **more: str) -> subprocess.CompletedProcess:
    """Run training.finetune under the launcher; ``home`` gets the checkpoints and MLflow's files."""
    home.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [Path(sys.executable).with_name("deepspeed"), "--num_accelerators", str(ranks), "--master_port", port]
    command += ["--no_local_rank", "--module", "tests.training.launched"]
    command += ["--recipe", "tiny", "--day", DAY.isoformat(), "--lake", str(lake)]
    return subprocess.run(
        command, cwd=home, env=environment(home, recipe, **more), capture_output=True, text=True, timeout=600
    )


def curve(home: Path) -> list[tuple[int, float]]:
    """(step, loss) of the one run there is."""
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("nightly").experiment_id])
    return [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, "loss")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, lake: Path, tiny) -> Path:
    """The home of a run that nobody disturbed."""
    home = tmp_path_factory.mktemp("trained")
    done = launch(home, lake, tiny)
    assert done.returncode == 0, done.stderr[-3000:]
    return home


def test_killed_and_resumed_gives_the_same_curve(tmp_path: Path, trained: Path, lake: Path, tiny):
    killed = launch(tmp_path / "home", lake, tiny, KILL_BEFORE_STEP="6")
    assert (tmp_path / "home" / "checkpoints" / "cpu" / str(DAY) / "latest").read_text() == "step4"
    resumed = launch(tmp_path / "home", lake, tiny)
    assert resumed.returncode == 0, killed.stderr[-2000:] + resumed.stderr[-2000:]
    assert "after 4 steps" in resumed.stderr
    assert curve(tmp_path / "home") == curve(trained)
    assert [step for step, _ in curve(trained)] == list(range(tiny.steps))


def test_one_rank_gives_the_curve_of_two(tmp_path: Path, trained: Path, lake: Path, tiny):
    alone = launch(tmp_path / "home", lake, tiny, ranks=1)
    assert alone.returncode == 0, alone.stderr[-2000:]
    assert [loss for _, loss in curve(tmp_path / "home")] == pytest.approx(
        [loss for _, loss in curve(trained)], rel=1e-3
    )


def test_a_finished_night_is_not_trained_twice(trained: Path, lake: Path, tiny):
    again = launch(trained, lake, replace(tiny, steps=13))
    assert again.returncode == 0
    assert f"{DAY} is trained already" in again.stderr
    assert len(curve(trained)) == tiny.steps


def test_what_mlflow_holds(trained: Path, tiny):
    client = MlflowClient(f"sqlite:///{trained / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("nightly").experiment_id])
    tags = run.data.tags
    assert (tags["day"], tags["recipe"]) == (str(DAY), "cpu")
    assert {name: tags[f"delta_version.{name}"] for name in ("behaviour.histories", "behaviour.exposures")} == {
        "behaviour.histories": "0",
        "behaviour.exposures": "0",
    }
    assert run.data.params["seed"] == str(tiny.seed)
    held = {file.path for folder in (None, "export") for file in client.list_artifacts(run.info.run_id, folder)}
    export = {"manifest.json", "items.json", "tags.json", "tokenizer.json", "item_encoder.pt2", "user_encoder.pt2"}
    assert held == {"model.safetensors", "export", *(f"export/{name}" for name in export)}
    (version,) = client.search_model_versions("name = 'recommender'")
    assert (str(version.version), version.run_id) == ("1", run.info.run_id)


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(tmp_path: Path, lake: Path, tiny):
    stopped = launch(tmp_path / "home", lake, tiny, POISON_BEFORE_STEP="6")
    assert stopped.returncode == 1
    assert "error: the loss of step 6 is nan" in stopped.stderr
    folder = tmp_path / "home" / "checkpoints" / "cpu" / str(DAY)
    assert f"The checkpoint after step 4 in {folder} is kept" in stopped.stderr
    assert (folder / "latest").read_text() == "step4"
