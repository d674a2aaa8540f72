"""Pre-training on two ranks: it learns, goes on after a kill, and fine-tuning starts from what it left."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.training.conftest import DAY, fill
from tests.training.launcher import checkpoints, curve, fork, the_run
from tests.training.test_corpus import write_texts
from training.parts import Pretraining

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny lake with a corpus: what a mask hides follows from the rest of a title, a title from its attributes."""
    folder, since = tmp_path_factory.mktemp("shop"), DAY - timedelta(days=30)
    fill(folder)
    words = ("milk", "bread", "soap")
    kinds = [(word, one, other) for word in words for one in range(10) for other in range(10)]
    titles = [f"{word} {one} {other} {other} {other}" for word, one, other in kinds]
    rows = [("title", title, None, since) for title in titles]
    rows += [
        ("attributes", f"{other} {one} {word}", title, since)
        for (word, one, other), title in zip(kinds, titles, strict=True)
    ]
    write_texts(folder, rows)
    return folder


@pytest.fixture(scope="module")
def learner(tiny):
    plan = Pretraining(steps=60, warmup=5, texts=64, pack=12, masked=0.3, lr=3e-2, evaluate_every=20)
    return replace(tiny, pretraining=plan)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory, shop: Path, learner) -> Path:
    home = tmp_path_factory.mktemp("read")
    done = fork(home, shop, learner, stage="pretrain")
    assert done.returncode == 0, done.stderr[-3000:]
    return home


def test_held_out_perplexity_falls(read: Path):
    looks = dict(curve(read, "held_out_perplexity", "pretrain"))
    assert list(looks) == [0, 20, 40, 60]
    assert looks[60] < 0.8 * looks[0]
    assert the_run(read, "pretrain").data.tags["delta_version.catalogue.texts"] == "0"


def test_killed_and_resumed_gives_the_same_curve(tmp_path: Path, read: Path, shop: Path, learner):
    fork(tmp_path / "home", shop, learner, stage="pretrain", KILL_BEFORE_STEP="24")
    resumed = fork(tmp_path / "home", shop, learner, stage="pretrain")
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    assert "after 20 steps" in resumed.stderr
    for metric in ("loss", "held_out_perplexity"):
        assert curve(tmp_path / "home", metric, "pretrain") == curve(read, metric, "pretrain")


def test_one_rank_with_zero_3_gives_the_curve_of_two(tmp_path: Path, read: Path, shop: Path, learner):
    alone = fork(tmp_path / "home", shop, replace(learner, hardware="cpu_zero3"), ranks=1, stage="pretrain")
    assert alone.returncode == 0, alone.stderr[-2000:]
    ours, theirs = ([loss for _, loss in curve(home, "loss", "pretrain")] for home in (tmp_path / "home", read))
    assert ours == pytest.approx(theirs, rel=5e-3)


def test_fine_tuning_starts_from_it(read: Path, shop: Path, learner):
    done = fork(read, shop, replace(learner, tuned_layers=0), EXPORT="no")
    assert done.returncode == 0, done.stderr[-3000:]
    left = load_file(checkpoints(read, "pretrain") / "model/model.safetensors")
    tuned = load_file(checkpoints(read) / "model/model.safetensors")
    name = "encoder.layer.0.output.dense.weight"
    assert tuned[f"texts.backbone.{name}"].equal(left[name])
    runs = [the_run(read, stage) for stage in ("pretrain", "finetune")]
    assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {the_run(read, "night").info.run_id}


def test_fine_tuning_without_it_says_what_to_run(tmp_path: Path, shop: Path, learner):
    done = fork(tmp_path / "home", shop, learner, ranks=1)
    assert done.returncode == 1
    assert f"holds no pre-trained model for {DAY}; run training.pretrain with this recipe first" in done.stderr


def test_a_decoder_reads_on(tmp_path: Path, shop: Path, learner, decoder: Path):
    plan = replace(learner.pretraining, steps=20)
    home = tmp_path / "home"
    done = fork(home, shop, replace(learner, backbone=str(decoder), pretraining=plan), stage="pretrain")
    assert done.returncode == 0, done.stderr[-3000:]
    looks = dict(curve(home, "held_out_perplexity", "pretrain"))
    assert looks[20] < 0.9 * looks[0]


def test_a_recipe_without_it_does_nothing(tmp_path: Path, shop: Path, tiny):
    done = fork(tmp_path / "home", shop, tiny, stage="pretrain")
    assert done.returncode == 0
    assert "recipe cpu has no pre-training" in done.stderr
    assert not checkpoints(tmp_path / "home", "pretrain").exists()
