"""The compression benchmark: its search, its shares, and a run on a tiny export."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import compression
from benchmarks.compression import models, night, vectors
from tests.training.conftest import DAY, fill, write_histories, write_items
from tests.training.conftest import backbone as backbone  # a fixture
from tests.training.conftest import tiny as tiny  # likewise
from training.backbone import load_backbone, load_tokenizer
from training.compress import Vectors, bfloat16_vectors, int8_vectors
from training.data import load
from training.export import export
from training.model import Recommender
from training.precision import product_type


def test_the_share_that_is_kept_leaves_order_aside():
    lists, beside = np.array([[1, 2, 3], [4, 5, 6]]), np.array([[3, 1, 9], [7, 8, 9]])
    assert night.kept(lists, beside) == pytest.approx(2 / 6)
    assert night.kept(lists, lists[:, ::-1]) == 1.0


def test_a_part_of_a_night_has_no_other_items_and_users(tmp_path: Path):
    write_histories(tmp_path, {"a": [("i", 20), ("k", 19), ("j", 3)], "b": [("k", 18)], "c": [("i", 17)]})
    write_items(tmp_path, {"i": "one", "j": "two", "k": "one"})
    whole = load(str(tmp_path), DAY)
    assert whole.item_ids == ["i", "k", "j"]  # those bought before the cut come first
    part = night.part(whole, 1, 2)
    assert (part.item_ids, part.user_ids, part.known) == (["i"], ["a", "b"], 1)
    assert (part.histories.offsets.tolist(), part.histories.items.tolist()) == ([0, 1, 1], [0])
    assert part.text_of.tolist() == [0]


def plain(matrix: torch.Tensor) -> Vectors:
    return Vectors(matrix[:, :-1], None, matrix[:, -1])


def test_search_by_hand():
    items = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 5.0]])
    positions, scores = vectors.top_k(plain(items), torch.tensor([[2.0, 3.0, 0.5], [-1.0, 0.0, -1.0]]), 2)
    assert positions.tolist() == [[1, 2], [1, 0]]
    assert scores.tolist() == [[3.0, 2.5], [0.0, -1.0]]


@pytest.mark.parametrize("encode", [plain, bfloat16_vectors, int8_vectors])
def test_rough_products_find_what_whole_ones_would(encode, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(vectors, "ITEMS_AT_ONCE", 50)
    monkeypatch.setattr(vectors, "BLOCK", 7)
    torch.manual_seed(0)
    items, users = torch.randn(2000, 9), torch.randn(20, 9)
    items[:, -1] *= 5
    made = encode(items)
    positions, scores = vectors.top_k(made, users, 10)
    wanted = made.products(users).topk(10, dim=1)
    torch.testing.assert_close(scores, wanted.values, atol=1e-5, rtol=1e-5)
    assert night.kept(positions.numpy(), wanted.indices.numpy()) > 0.99


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny) -> tuple[Path, Path]:
    """A lake, and the export of a model of its night that learned nothing."""
    folder = tmp_path_factory.mktemp("trained")
    fill(folder / "lake")
    seen = load(str(folder / "lake"), DAY).training()
    torch.manual_seed(4)
    model = Recommender(load_backbone(tiny.backbone_folder), seen.known, len(seen.tag_names), tiny)
    export(model, load_tokenizer(tiny.backbone_folder, tiny.max_tokens), seen, tiny, folder / "export")
    return folder / "lake", folder / "export"


def test_a_run(trained: tuple[Path, Path], backbone: Path):
    lake, exported = trained
    found = compression.run(True, exported, str(lake), DAY, str(backbone))
    half = ["language model, bfloat16"] if product_type("cpu", True) == torch.bfloat16 else []
    assert [row[0] for row in found.table[1:]] == [
        "language model, float32",
        *half,
        "language model, int8 weights",
        "language model, int8 weights and inputs",
        "vectors, float32",
        "vectors, bfloat16",
        "vectors, int8",
        "vectors, float32, NumPy",
    ]
    figures = found.figures["vectors"]
    assert [figures[name]["bytes_per_item"] for name in ("float32", "bfloat16", "int8")] == [13 * 4, 12 * 2 + 4, 12 + 8]
    assert found.figures["language_model"]["float32"]["kept"] == figures["float32"]["kept"] == 1.0
    assert all(each["kept"] > 0.9 for part in ("language_model", "vectors") for each in found.figures[part].values())
    assert json.loads(command.report("compression", found, {}))["figures"]["items"] == 30


def test_the_encoders_hold_the_exports_weights(trained: tuple[Path, Path], backbone: Path):
    texts, items, heads = models.encoders(trained[1], str(backbone))
    state = torch.export.load(trained[1] / "item_encoder.pt2").state_dict
    held = {f"texts.{name}": value for name, value in texts.state_dict().items()}
    held |= {f"items.{name}": value for name, value in items.state_dict().items()}
    read = ("item_norm", "items", "usual", "log_deviation")
    held |= {f"heads.{name}": value for name, value in heads.state_dict().items() if name.startswith(read)}
    assert held.keys() == {
        name
        for name in state
        if not name.startswith(
            ("heads.users", "heads.variety", "heads.query", "heads.user_norm", "heads.gain", "heads.offset")
        )
    }
    assert all(value.equal(state[name]) for name, value in held.items())
    with pytest.raises(ValueError, match=r"the language model of \S+ is none of"):
        models.encoders(trained[1], models.recipe("cpu").backbone_folder)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["compression", "--lake", "x"], "compression needs a trained model: --export, --day missing"),
        (["gates", "--lake", "x", "--backbone", "y"], "gates has no --lake, --backbone"),
    ],
)
def test_what_is_missing_is_said(given: list[str], why: str, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", *given])
    with pytest.raises(SystemExit):
        command.main()
    assert why in capsys.readouterr().err


def test_a_folder_without_an_export(tmp_path: Path):
    with pytest.raises(ValueError, match=r"holds no export \(manifest\.json"):
        compression.run(True, tmp_path, str(tmp_path), DAY)
