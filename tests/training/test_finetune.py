"""The real launcher, two ranks, a tiny backbone: killed and resumed, exported, judged."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient
from safetensors.torch import load_file

from tests.training.conftest import DAY
from tests.training.launcher import checkpoints, curve, fork, launch, the_run
from training.backbone import load_backbone, load_tokenizer, tokenise
from training.data import load
from training.precision import mixed

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, lake: Path, tiny) -> Path:
    """The home of a run that nobody disturbed."""
    home = tmp_path_factory.mktemp("trained")
    done = launch(home, lake, tiny)
    assert done.returncode == 0, done.stderr[-3000:]
    return home


def losses(home: Path) -> list[float]:
    return [loss for _, loss in curve(home)]


def test_killed_and_resumed_gives_the_same_curve(tmp_path: Path, trained: Path, lake: Path, tiny):
    killed = launch(tmp_path / "home", lake, tiny, KILL_BEFORE_STEP="6")
    assert (checkpoints(tmp_path / "home") / "latest").read_text() == "step4"
    resumed = fork(tmp_path / "home", lake, tiny, EXPORT="no")
    assert resumed.returncode == 0, killed.stderr[-2000:] + resumed.stderr[-2000:]
    assert "after 4 steps" in resumed.stderr
    assert curve(tmp_path / "home") == curve(trained)
    assert [step for step, _ in curve(trained)] == list(range(tiny.steps))


def test_one_rank_gives_the_curve_of_two(tmp_path: Path, trained: Path, lake: Path, tiny):
    alone = fork(tmp_path / "home", lake, tiny, ranks=1, EXPORT="no")
    assert alone.returncode == 0, alone.stderr[-2000:]
    assert losses(tmp_path / "home") == pytest.approx(losses(trained), rel=1e-3)


@pytest.mark.parametrize("stage", [2, 3])
def test_shards_of_the_model_give_the_curve_of_whole_ones(tmp_path: Path, trained: Path, lake: Path, tiny, stage: int):
    """What ZeRO 3 leaves, gathered a tensor at a time, is the model that ZeRO 1 leaves."""
    home = tmp_path / "home"
    done = fork(home, lake, replace(tiny, hardware=f"cpu_zero{stage}"), EXPORT="no")
    assert done.returncode == 0, done.stderr[-3000:]
    assert losses(home) == pytest.approx(losses(trained), rel=1e-3)
    ours, theirs = (load_file(checkpoints(each) / "model/model.safetensors") for each in (home, trained))
    assert {name: value.shape for name, value in ours.items()} == {name: each.shape for name, each in theirs.items()}
    for name in ("items.own.weight", "users.say.weight", "texts.backbone.encoder.layer.1.output.dense.weight"):
        torch.testing.assert_close(ours[name], theirs[name], atol=2e-3, rtol=1e-2)


def test_the_configuration_of_one_gpu_tells_the_same_norm(tmp_path: Path, trained: Path, lake: Path, tiny):
    done = fork(tmp_path / "home", lake, replace(tiny, hardware="gpu"), ranks=1, EXPORT="no")
    assert done.returncode == 0, done.stderr[-2000:]
    norms = [[norm for _, norm in curve(home, "gradient_norm")] for home in (tmp_path / "home", trained)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-2)


def test_adapters_learn_and_are_exported_within_the_backbone(tmp_path: Path, trained: Path, lake: Path, tiny):
    home = tmp_path / "home"
    done = fork(home, lake, replace(tiny, tuned_layers=1, lora_rank=2, backbone_lr=1e-2, recompute=True, int8=True))
    assert done.returncode == 0, done.stderr[-3000:]
    ours, theirs = (load_file(checkpoints(each) / "model/model.safetensors") for each in (home, trained))
    assert ours.keys() == theirs.keys()
    start = load_file(Path(tiny.backbone) / "model.safetensors")
    moved = {name for name in start if not torch.equal(ours[f"texts.backbone.{name}"], start[name])}
    assert moved
    assert all(name.startswith("encoder.layer.1.") and name.endswith("weight") for name in moved)
    held = torch.export.load(checkpoints(home) / "model/export/item_encoder.pt2").state_dict
    assert held["texts.backbone.encoder.layer.0.output.dense.weight"].dtype == torch.int8


def test_what_stands_above_the_texts_ends_on_those_that_are_exported(trained: Path, lake: Path, tiny):
    """The language model learns no more in the last steps, so the table of its encodings is the finished model's."""
    folder = checkpoints(trained)
    last = torch.load(folder / f"step{tiny.steps}/mp_rank_00_model_states.pt", weights_only=False)["module"]
    encoder = load_backbone(tiny.backbone)
    start = {name: value.clone() for name, value in encoder.state_dict().items()}
    learned = load_file(folder / "model/model.safetensors")
    encoder.load_state_dict({name: learned[f"texts.{name}"] for name in start})
    assert any(not torch.equal(start[name], learned[f"texts.{name}"]) for name in start)
    night = load(str(lake), DAY)
    ids, mask = map(torch.from_numpy, tokenise(load_tokenizer(tiny.backbone, tiny.max_tokens), night.texts))
    with torch.no_grad(), mixed("cpu", tiny.bfloat16):
        torch.testing.assert_close(last["table"], encoder(ids, mask), atol=1e-5, rtol=1e-4)


def test_a_finished_night_is_not_trained_twice(trained: Path, lake: Path, tiny):
    again = fork(trained, lake, replace(tiny, steps=13))
    assert again.returncode == 0
    assert f"{DAY} is done already" in again.stderr
    assert len(curve(trained)) == tiny.steps


def test_what_mlflow_holds(trained: Path, tiny):
    client, run = MlflowClient(f"sqlite:///{trained / 'mlflow.db'}"), the_run(trained)
    tags = run.data.tags
    assert tags["mlflow.parentRunId"] == the_run(trained, "night").info.run_id
    assert (tags["day"], tags["recipe"]) == (str(DAY), "cpu")
    assert {name: tags[f"delta_version.{name}"] for name in ("behaviour.histories", "behaviour.exposures")} == {
        "behaviour.histories": "0",
        "behaviour.exposures": "0",
    }
    assert run.data.params["seed"] == str(tiny.seed)
    held = {file.path for folder in (None, "export") for file in client.list_artifacts(run.info.run_id, folder)}
    export = {"manifest.json", "items.json", "tags.json", "tokenizer.json", "item_encoder.pt2", "user_encoder.pt2"}
    export |= {"descriptions.npy", "vectors.npy"}
    assert held == {"model.safetensors", "curves.png", "export", *(f"export/{name}" for name in export)}
    (version,) = client.search_model_versions("name = 'recommender'")
    assert (str(version.version), version.run_id) == ("1", run.info.run_id)


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(tmp_path: Path, lake: Path, tiny):
    stopped = launch(tmp_path / "home", lake, tiny, POISON_BEFORE_STEP="6")
    assert stopped.returncode == 1
    assert "error: the loss of step 6 is nan" in stopped.stderr, stopped.stderr[-3000:]
    folder = checkpoints(tmp_path / "home")
    assert f"The checkpoint after step 4 in {folder} is kept" in stopped.stderr
    assert (folder / "latest").read_text() == "step4"
