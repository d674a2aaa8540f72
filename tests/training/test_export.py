"""The export gives the model's vectors, without the model."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from tests.training.conftest import DAY
from training.backbone import load_backbone, load_tokenizer
from training.data import load
from training.export import export
from training.model import Recommender


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, lake: Path, tiny) -> tuple[Recommender, Path]:
    night = load(str(lake), DAY).training()
    torch.manual_seed(4)
    model = Recommender(load_backbone(tiny.backbone_folder), night.known, len(night.tag_names), tiny)
    torch.nn.init.normal_(model.items.tags.weight)
    torch.nn.init.normal_(model.users.say.weight)
    folder = tmp_path_factory.mktemp("model") / "export"
    export(model, load_tokenizer(tiny.backbone_folder, tiny.max_tokens), night, tiny, folder)
    return model, folder


@pytest.mark.parametrize("rows", [1, 5])
def test_items(exported, tiny, rows: int):
    """Those that training saw: its language model multiplies in bfloat16, what stands above it doesn't."""
    model, folder = exported
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    encodings = tokenizer.encode_batch(["soap 7 bread 1", "milk 3", "", "soap 7 bread 1", "something else"][:rows])
    ids = torch.tensor([encoding.ids for encoding in encodings])
    mask = torch.tensor([encoding.attention_mask for encoding in encodings])
    index = torch.tensor([1, 2, 3, 0, 5])[:rows]
    tags = torch.tensor([[1], [2], [3], [0], [1]])[:rows]
    found = torch.export.load(folder / "item_encoder.pt2").module()(ids, mask, tags, index)
    with torch.autocast("cpu", torch.bfloat16, enabled=tiny.bfloat16):
        texts = model.texts(ids, mask)
    for ours, theirs in zip(model.items(texts, tags, index), found, strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)


def test_users_with_full_one_item_and_empty_histories(exported, tiny):
    model, folder = exported
    torch.manual_seed(5)
    vectors, ages = torch.randn(3, tiny.max_history, tiny.dim), torch.rand(3, tiny.max_history).sort(descending=True)[0]
    seen = torch.arange(tiny.max_history) >= torch.tensor([[0], [tiny.max_history - 1], [tiny.max_history]])
    entries = torch.where(seen, torch.arange(tiny.max_history) % 3, -1)
    found = torch.export.load(folder / "user_encoder.pt2").module()(vectors, ages, entries)
    last, now = torch.full((3, 1), tiny.max_history - 1), torch.zeros(3, 1)
    for ours, theirs in zip(model.users(vectors, ages, entries, last, now), found, strict=True):
        torch.testing.assert_close(theirs, ours[:, 0], atol=1e-5, rtol=1e-5)
        assert torch.isfinite(theirs).all()


def test_manifest_and_items(exported, lake: Path, tiny):
    _, folder = exported
    night = load(str(lake), DAY)
    assert json.loads((folder / "manifest.json").read_text()) == {
        "format": 3,
        "dim": 13,
        "purchase_dim": 4,
        "max_history": 16,
        "max_tokens": 8,
        "max_tags": 1,
        "has_purchase": True,
        "trained_before": night.cut,
    }
    assert json.loads((folder / "items.json").read_text()) == [f"i{item:02}" for item in range(24)]
    assert json.loads((folder / "tags.json").read_text()) == [
        "category bread",
        "category milk",
        "category soap",
    ]
