"""The table of encodings: every text in its place, whatever script it is written in."""

from pathlib import Path

import pytest
import torch

from training.backbone import load_backbone, load_tokenizer, tokenise
from training.encodings import Encodings
from training.recipes import recipe
from training.texts import TextTable

TEXTS = ["milk 1", "牛奶 1", "", "soap 2 bread 3 milk 4 soap 5", "молоко 🥛", "bread"]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One rank, without a process group."""
    monkeypatch.setattr("torch.distributed.get_rank", lambda: 0)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 1)
    monkeypatch.setattr("torch.distributed.all_reduce", lambda table: None)
    monkeypatch.setattr("torch.distributed.broadcast_object_list", lambda values: None)


def test_every_text_is_encoded_in_its_place(backbone: Path, alone: None):
    encoder, tokenizer = load_backbone(str(backbone)), load_tokenizer(str(backbone), 8)
    table = torch.full((len(TEXTS), encoder.width), torch.nan)
    TextTable(*tokenise(tokenizer, TEXTS), bfloat16=False).encode(encoder, table)
    for text, row in zip(TEXTS, table, strict=True):
        ids, mask = map(torch.from_numpy, tokenise(tokenizer, [text]))
        with torch.no_grad():
            said = encoder(ids, mask)[0] if text else torch.zeros(encoder.width)  # nothing is said of no text
        torch.testing.assert_close(row, said, atol=1e-5, rtol=1e-5)


def test_only_the_width_that_is_asked_for_goes_through(backbone: Path):
    table = TextTable(*tokenise(load_tokenizer(str(backbone), 8), TEXTS), bfloat16=False)
    ids, mask = table.tokens(torch.tensor([0, 5]).numpy())
    assert ids.shape == mask.shape == (2, 2)
    assert mask.sum(1).tolist() == [2, 1]


def test_what_was_encoded_before_is_not_encoded_again(tmp_path: Path, backbone: Path, alone: None):
    encoder, tokenizer = load_backbone(str(backbone)), load_tokenizer(str(backbone), 8)
    tables = []
    for texts in (TEXTS[:3], TEXTS):
        kept = Encodings(tmp_path / "kept.safetensors", texts)
        tables.append(torch.zeros(len(texts), encoder.width))
        TextTable(*tokenise(tokenizer, texts), bfloat16=False, kept=kept).encode(encoder, tables[-1])
        with torch.no_grad():
            for each in encoder.parameters():
                each.mul_(2)  # whoever is encoded by it now says something else
    assert torch.equal(tables[1][:3], tables[0])
    whole = torch.zeros(len(TEXTS), encoder.width)
    TextTable(*tokenise(tokenizer, TEXTS), bfloat16=False).encode(encoder, whole)
    assert not torch.allclose(whole[0], tables[1][0])


def test_the_default_backbone_reads_scripts_it_hardly_knows(alone: None):
    folder = recipe("cpu").backbone_folder
    encoder, tokenizer = load_backbone(folder), load_tokenizer(folder, 32)
    table = torch.zeros(len(TEXTS), encoder.width)
    TextTable(*tokenise(tokenizer, TEXTS), bfloat16=False).encode(encoder, table)
    assert table.isfinite().all()
    assert (table[0] - table[1]).abs().max() > 0.01  # a title in Chinese isn't one in English
