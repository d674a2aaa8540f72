"""How the tests start a stage of training: the real deepspeed launcher, on a tiny lake."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from tests.training.conftest import DAY

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


def launch(
    home: Path, lake: Path, recipe, ranks: int = 2, stage: str = "finetune", day: date = DAY, **more: str
) -> subprocess.CompletedProcess:
    """Run the stage under the launcher; ``home`` gets the checkpoints and MLflow's files."""
    home.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [Path(sys.executable).with_name("deepspeed"), "--num_accelerators", str(ranks), "--master_port", port]
    command += ["--no_local_rank", "--module", "tests.training.launched"]
    command += ["--recipe", "tiny", "--day", day.isoformat(), "--lake", str(lake)]
    told = environment(home, recipe, STAGE=stage, **more)
    return subprocess.run(command, cwd=home, env=told, capture_output=True, text=True, timeout=600)


def the_run(home: Path, stage: str = "finetune") -> Run:
    """The one MLflow run of the stage."""
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("nightly").experiment_id
    (run,) = client.search_runs([experiment], f"tags.stage = '{stage}'")
    return run


def curve(home: Path, metric: str = "loss", stage: str = "finetune") -> list[tuple[int, float]]:
    """(step, value) of a metric of the one run of the stage."""
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    return [(each.step, each.value) for each in client.get_metric_history(the_run(home, stage).info.run_id, metric)]


def checkpoints(home: Path, stage: str = "finetune") -> Path:
    return home / "checkpoints" / "cpu" / str(DAY) / stage
