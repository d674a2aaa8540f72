"""How the tests start a stage of training on a tiny lake: under the real deepspeed launcher, or its ranks alone."""

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import date
from multiprocessing import forkserver
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.training.conftest import DAY
from training.launcher import command, free_port

ROOT = Path(__file__).parents[2]
TIMEOUT = 600  # seconds
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.training.launched"])


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
    told = environment(home, recipe, STAGE=stage, **more)
    started = [*command(ranks, "tests.training.launched"), *_options(lake, day)]
    return subprocess.run(started, cwd=home, env=told, capture_output=True, text=True, timeout=TIMEOUT)


def fork(
    home: Path, lake: Path, recipe, ranks: int = 2, stage: str = "finetune", day: date = DAY, **more: str
) -> subprocess.CompletedProcess:
    """The same ranks without the launcher, from a process that has imported all they need: most of a run's time."""
    home.mkdir(exist_ok=True)
    told = environment(home, recipe, STAGE=stage, **more)
    with pytest.MonkeyPatch.context() as patch:  # what is read when modules are imported
        for name in ("DS_ACCELERATOR", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "PYTHONPATH"):
            patch.setenv(name, told[name])
        forkserver.ensure_running()
    told |= {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    with tempfile.NamedTemporaryFile("r") as log:
        started = [
            FORKS.Process(
                target=_rank, args=(told | {"RANK": rank, "LOCAL_RANK": rank}, home, _options(lake, day), log.name)
            )
            for rank in map(str, range(ranks))
        ]
        for each in started:
            each.start()
        code = _await(started)
        return subprocess.CompletedProcess("ranks", code, "", log.read())


def _options(lake: Path, day: date) -> list[str]:
    return ["--recipe", "tiny", "--day", day.isoformat(), "--lake", str(lake)]


def _rank(told: dict[str, str], home: Path, options: list[str], log: str) -> None:
    from tests.training import launched  # imported before the fork

    out = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(out, stream)
    os.environ.update(told)
    os.chdir(home)
    sys.argv = ["launched", *options]
    launched.main()


def _await(ranks: list) -> int:
    """0, or the exit code of the first rank that fails, whose others are ended."""
    try:
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            codes = [each.exitcode for each in ranks]
            if failed := [code for code in codes if code]:
                return failed[0]
            if None not in codes:
                return 0
            time.sleep(0.05)
        raise TimeoutError(f"ranks ran for {TIMEOUT} s")
    finally:
        for each in ranks:
            each.kill()
            each.join()


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
