"""The export gives the model's vectors, without the model."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from tests.training.conftest import DAY
from training.backbone import load_backbone, load_tokenizer, tokenise
from training.calibration import Platt
from training.data import load
from training.export import export
from training.heads import logits
from training.model import Recommender
from training.precision import mixed, product_type
from training.served import Exported, Items
from training.trends import SALES


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, lake: Path, tiny) -> tuple[Recommender, Path]:
    night = load(str(lake), DAY).training()
    torch.manual_seed(4)
    model = Recommender(load_backbone(tiny.backbone_folder), night.known, len(night.tag_names), tiny)
    for part in (model.items.tags, model.users.repeats.out):
        torch.nn.init.normal_(part.weight)
    torch.nn.init.normal_(model.users.say.weight)
    folder = tmp_path_factory.mktemp("model") / "export"
    for part in (*model.heads.users.values(), model.heads.variety, model.heads.query):  # they start at zero
        torch.nn.init.normal_(part.weight)
    tokenizer = load_tokenizer(tiny.backbone_folder, tiny.max_tokens)
    tasks, corrections = ("next_item", "purchase", "relevance"), {"purchase": Platt(2.0, 0.5)}
    ids, mask = map(torch.from_numpy, tokenise(tokenizer, night.texts))
    with torch.no_grad(), mixed("cpu", tiny.bfloat16):
        table = model.texts(ids, mask).float()
    export(model, tokenizer, night, tiny, folder, tasks=tasks, corrections=corrections, table=table)
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
    with mixed("cpu", tiny.bfloat16):
        texts = model.texts(ids, mask)
    vectors = model.items(texts, tags, index)
    click, purchase, spend = model.heads.of_items(vectors, index)
    spend[:, -1] += model.heads.excess  # the mean of a lognormal lies above the exponential of its logarithm's
    for ours, theirs in zip((vectors, click, purchase, spend), found, strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)


def told(items: Items) -> torch.Tensor:
    return torch.cat([items.vectors, items.click, items.purchase, items.spend], dim=1)


def test_the_catalogue_that_comes_along_is_what_the_item_encoder_says(exported, lake: Path, tmp_path: Path):
    night = load(str(lake), DAY)
    bare = shutil.copytree(exported[1], tmp_path / "bare", ignore=shutil.ignore_patterns("*.npy"))
    torch.testing.assert_close(told(Exported(exported[1]).items(night)), told(Exported(bare).items(night)))


def test_what_is_described_as_it_was_is_not_read_again(exported, lake: Path, tmp_path: Path):
    night = load(str(lake), DAY)
    folder = shutil.copytree(exported[1], tmp_path / "export")
    marked = np.load(folder / "vectors.npy") + 100
    np.save(folder / "vectors.npy", marked)
    changed = replace(night, texts=["milk" if text == "milk 3" else text for text in night.texts])
    ours, theirs = told(Exported(folder).items(changed)), told(Exported(exported[1]).items(night))
    again = torch.tensor([text == "milk 3" for text in night.described()[0]])
    assert 0 < again.sum() < len(again)
    torch.testing.assert_close(ours[~again], theirs[~again] + 100)
    assert (ours[again] - theirs[again]).abs().max() < 50
    assert not torch.equal(ours[again], theirs[again])


def test_users_with_full_one_item_and_empty_histories(exported, tiny):
    model, folder = exported
    torch.manual_seed(5)
    vectors, ages = torch.randn(3, tiny.max_history, tiny.dim), torch.rand(3, tiny.max_history).sort(descending=True)[0]
    seen = torch.arange(tiny.max_history) >= torch.tensor([[0], [tiny.max_history - 1], [tiny.max_history]])
    entries = torch.where(seen, torch.arange(tiny.max_history) % 3, -1)
    sales = torch.randn(3, tiny.max_history, SALES)
    found = torch.export.load(folder / "user_encoder.pt2").module()(vectors, sales, ages, entries)
    last, now = torch.full((3, 1), tiny.max_history - 1), torch.zeros(3, 1)
    users, again = (each[:, 0] for each in model.users(vectors, ages, entries, last, now, sales=sales.unsqueeze(1)))
    click, purchase, spend = model.heads.of_users(users)
    items = torch.nn.functional.pad(torch.randn(3, tiny.head_dim), (0, 1), value=1.0)
    scores = torch.randn(3)
    # corrected: twice the logit and 0.5 more, whatever the item and the relevance
    torch.testing.assert_close(logits(found[2], items, scores), 2 * logits(purchase, items, scores) + 0.5)
    accepted = torch.sigmoid(model.heads.accepted(users))
    told = (users, click, found[2], spend, accepted, again)
    for ours, theirs in zip(told, found, strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)
        assert torch.isfinite(theirs).all()


def test_queries(exported, tiny):
    model, folder = exported
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    encodings = tokenizer.encode_batch(["milk", "red soap"])
    ids, mask = (torch.tensor([getattr(each, name) for each in encodings]) for name in ("ids", "attention_mask"))
    found = torch.export.load(folder / "query_encoder.pt2").module()(ids, mask)
    with mixed("cpu", tiny.bfloat16):
        texts = model.texts(ids, mask).float()
    torch.testing.assert_close(found, model.heads.of_queries(texts - model.items.centre), atol=1e-5, rtol=1e-5)
    assert found.abs().max() > 0


def test_manifest_and_items(exported, lake: Path, tiny):
    _, folder = exported
    night = load(str(lake), DAY)
    assert json.loads((folder / "manifest.json").read_text()) == {
        "format": 8,
        "dim": 13,
        "text_dim": 6,
        "max_history": 16,
        "max_tokens": 8,
        "max_tags": 1,
        "tasks": ["next_item", "purchase", "relevance"],
        "corrections": {"purchase": {"slope": 2.0, "offset": 0.5}},
        "bfloat16": product_type("cpu", tiny.bfloat16) == torch.bfloat16,
        "pull": pytest.approx([0.1, 0.3, 0.6]),
        "trained_before": night.cut,
    }
    assert json.loads((folder / "items.json").read_text()) == [f"i{item:02}" for item in range(24)]
    assert json.loads((folder / "tags.json").read_text()) == [
        "category bread",
        "category milk",
        "category soap",
    ]
