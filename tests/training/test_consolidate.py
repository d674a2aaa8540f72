"""One file of safetensors: what it holds, and reading it back."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from training.backbone import load_backbone, tune
from training.consolidate import consolidate, restore


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2).to(torch.bfloat16)
        self.gain = nn.Parameter(torch.tensor([2.0]))
        self.register_buffer("counts", torch.arange(4))
        self.register_buffer("scratch", torch.zeros(5), persistent=False)


def test_the_file_is_the_models_state(tmp_path: Path):
    model = Small()
    consolidate(model, tmp_path / "model.safetensors")
    found, state = load_file(tmp_path / "model.safetensors"), model.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) and found[name].dtype == state[name].dtype for name in state)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_read_back_into_another_model(tmp_path: Path):
    one, other = Small(), Small()
    consolidate(one, tmp_path / "model.safetensors")
    restore(other, tmp_path / "model.safetensors")
    assert torch.equal(other.layer.weight, one.layer.weight)


def test_another_models_file_is_refused(tmp_path: Path):
    consolidate(nn.Linear(2, 2), tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"model\.safetensors is another model's: 6 tensors differ, such as bias"):
        restore(Small(), tmp_path / "model.safetensors")


def test_a_type_that_the_file_cannot_hold(tmp_path: Path):
    with pytest.raises(ValueError, match=r"weight is torch\.complex64, which model\.safetensors can't hold"):
        consolidate(nn.Linear(2, 2, dtype=torch.complex64), tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


def test_adapters_are_added_to_what_they_adapt(tmp_path: Path, backbone: Path):
    encoder = load_backbone(str(backbone))
    start = {name: value.clone() for name, value in encoder.state_dict().items()}
    tune(encoder.backbone, 1, lora_rank=2)
    for name, parameter in encoder.named_parameters():
        if "lora_" in name:
            nn.init.normal_(parameter)
    consolidate(encoder, tmp_path / "model.safetensors")
    whole = load_backbone(str(backbone))
    restore(whole, tmp_path / "model.safetensors")
    ids, mask = torch.tensor([[2, 3, 4]]), torch.ones(1, 3, dtype=torch.long)
    torch.testing.assert_close(whole(ids, mask), encoder(ids, mask), atol=1e-5, rtol=1e-4)
    moved = {name for name, value in whole.state_dict().items() if not torch.equal(value, start[name])}
    assert len(moved) == 6
