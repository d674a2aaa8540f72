"""Distillation on two ranks: a student of fewer layers learns what a wider teacher says of texts."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel

from tests.training.conftest import DAY, fill, save_words
from tests.training.launcher import checkpoints, curve, fork
from tests.training.test_corpus import write_texts
from training.backbone import load_backbone
from training.corpus import Corpus
from training.distil import teach
from training.parts import Pretraining

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny lake with a corpus of titles."""
    folder, since = tmp_path_factory.mktemp("shop"), DAY - timedelta(days=30)
    fill(folder)
    kinds = [(word, one, other) for word in ("milk", "bread", "soap") for one in range(10) for other in range(10)]
    write_texts(folder, [("title", f"{word} {one} {other}", None, since) for word, one, other in kinds])
    return folder


@pytest.fixture(scope="module")
def taught(tiny, tmp_path_factory: pytest.TempPathFactory):
    """A recipe whose student keeps one layer of two, and whose teacher is wider."""
    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(9)
    shape = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 16}
    BertModel(BertConfig(vocab_size=save_words(folder), hidden_size=24, **shape)).save_pretrained(folder)
    plan = Pretraining(steps=40, warmup=2, texts=32, pack=12, lr=1e-2, evaluate_every=20)
    return replace(tiny, pretraining=replace(plan, layers=1, teacher=str(folder), teacher_weight=8.0))


@pytest.fixture(scope="module")
def distilled(tmp_path_factory: pytest.TempPathFactory, shop: Path, taught) -> Path:
    home = tmp_path_factory.mktemp("distilled")
    done = fork(home, shop, taught, stage="pretrain")
    assert done.returncode == 0, done.stderr[-3000:]
    return home


def test_a_student_learns_what_its_teacher_says_of_texts_it_never_saw(distilled: Path):
    looks = dict(curve(distilled, "held_out_teacher_loss", "pretrain"))
    assert list(looks) == [0, 20, 40]
    assert looks[0] > 0.8
    assert looks[40] < 0.6 * looks[0]
    assert [step for step, _ in curve(distilled, "teacher_loss", "pretrain")] == list(range(40))


def test_the_student_is_a_folder_of_fewer_layers(distilled: Path, taught, shop: Path):
    student = load_backbone(str(checkpoints(distilled, "pretrain") / "model"))
    assert (student.backbone.config.num_hidden_layers, len(student.backbone.encoder.layer)) == (1, 1)
    done = fork(distilled, shop, taught, EXPORT="no")
    assert done.returncode == 0, done.stderr[-3000:]
    tuned = load_file(checkpoints(distilled) / "model/model.safetensors")
    assert any("texts.backbone.encoder.layer.0." in name for name in tuned)
    assert not any("texts.backbone.encoder.layer.1." in name for name in tuned)


def test_one_rank_with_zero_3_learns_as_two_do(tmp_path: Path, distilled: Path, shop: Path, taught):
    alone = fork(tmp_path / "home", shop, replace(taught, hardware="cpu_zero3"), ranks=1, stage="pretrain")
    assert alone.returncode == 0, alone.stderr[-2000:]
    ours, theirs = ([loss for _, loss in curve(home, "loss", "pretrain")] for home in (tmp_path / "home", distilled))
    assert ours == pytest.approx(theirs, rel=1e-3)


def test_a_teacher_that_is_none(tmp_path: Path, shop: Path, taught):
    plan = replace(taught.pretraining, teacher=str(tmp_path))
    done = fork(tmp_path / "home", shop, replace(taught, pretraining=plan), ranks=1, stage="pretrain")
    assert done.returncode == 1
    assert f"backbone '{tmp_path}' is no Hugging Face model" in done.stderr


def test_what_the_teacher_says_is_centred_on_what_is_trained_on(taught, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("torch.distributed.get_rank", lambda: 0)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 1)
    monkeypatch.setattr("torch.distributed.all_reduce", lambda table: None)
    no_pairs = np.zeros((0, 2), np.int64)
    corpora = [Corpus(texts, no_pairs, 0) for texts in (["milk 1", "bread"], ["soap 2"], [])]
    seen, held_out, nothing = teach(tuple(corpora), replace(taught, bfloat16=False))
    encoder = load_backbone(taught.pretraining.teacher)
    with torch.no_grad():
        said = [encoder(torch.tensor([ids]), torch.ones(1, len(ids))) for ids in ([2, 6], [3], [4, 7])]
    centre = (said[0] + said[1]) / 2
    for found, wanted in zip([*seen, *held_out], said, strict=True):
        torch.testing.assert_close(torch.from_numpy(found), (wanted - centre)[0], atol=1e-5, rtol=1e-5)
    assert nothing.shape == (0, 24)
