"""Backbones: which there are, what of them learns, and their tokenizers."""

import copy
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel

from training.backbone import (
    fingerprint,
    keep_layers,
    load_backbone,
    load_language_model,
    load_tokenizer,
    mask_token,
    tokenise,
    tune,
)


def test_a_folder_that_is_no_backbone(tmp_path: Path):
    (tmp_path / "readme.txt").write_text("nothing here")
    with pytest.raises(ValueError, match="is no Hugging Face model"):
        load_backbone(str(tmp_path))
    with pytest.raises(ValueError, match="has no fast tokenizer"):
        load_tokenizer(str(tmp_path), 8)


def learning(module: torch.nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


def test_only_the_last_layers_learn(backbone: Path):
    model = load_backbone(str(backbone)).backbone
    tune(model, 1)
    assert learning(model)
    assert all(name.startswith("encoder.layer.1.") for name in learning(model))
    tune(model, 0)
    assert not learning(model)
    tune(model, None)
    assert len(learning(model)) == len(list(model.parameters()))


def test_adapters_learn_in_place_of_the_last_layers(backbone: Path):
    model = load_backbone(str(backbone)).backbone
    tune(model, 1, lora_rank=2)
    linears = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
    linears += ("intermediate.dense", "output.dense")
    adapters = (f"encoder.layer.1.{name}.lora_{side}.default.weight" for name in linears for side in "AB")
    assert learning(model) == set(adapters)


def test_recomputed_activations_give_the_same_gradients(backbone: Path):
    plain, again = (load_backbone(str(backbone)) for _ in range(2))
    tune(plain.backbone, 1)
    tune(again.backbone, 1, recompute=True)
    ids, mask = torch.tensor([[2, 3, 4], [3, 0, 0]]), torch.tensor([[1, 1, 1], [1, 0, 0]])
    for encoder in (plain, again):
        encoder.train()(ids, mask).square().sum().backward()
    assert again.backbone.is_gradient_checkpointing
    for one, other in zip(plain.parameters(), again.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad)


@pytest.mark.parametrize(("count", "places"), [(6, [0, 2, 4, 7, 9, 11]), (2, [0, 11]), (1, [0]), (12, range(12))])
def test_evenly_spaced_layers_are_kept(tmp_path: Path, count: int, places: list[int]):
    shape = BertConfig(vocab_size=8, hidden_size=4, num_hidden_layers=12, num_attention_heads=2, intermediate_size=4)
    BertModel(shape).save_pretrained(tmp_path / "whole")
    whole, cut = (load_backbone(str(tmp_path / "whole")).backbone for _ in range(2))
    keep_layers(cut, count)
    cut.save_pretrained(tmp_path / "cut")
    found = load_backbone(str(tmp_path / "cut")).backbone
    assert found.config.num_hidden_layers == len(found.encoder.layer) == count
    for layer, place in zip(found.encoder.layer, places, strict=True):
        assert layer.output.dense.weight.equal(whole.encoder.layer[place].output.dense.weight)
    states = whole.embeddings(torch.tensor([[1, 2]]))
    for place in places:
        states = whole.encoder.layer[place](states)
    torch.testing.assert_close(found(input_ids=torch.tensor([[1, 2]])).last_hidden_state, states)


def test_layers_of_a_decoder_are_kept(decoder: Path):
    model = load_language_model(str(decoder), masked=False)
    last = model.base_model.h[1].attn.c_attn.weight
    keep_layers(model.base_model, 1)
    assert (model.config.num_hidden_layers, model.config.n_layer, len(model.base_model.h)) == (1, 1, 1)
    assert not model.base_model.h[0].attn.c_attn.weight.equal(last)
    with pytest.raises(ValueError, match="layers is 2; backbone GPT2Model has 1"):
        keep_layers(model.base_model, 2)


def test_an_encoding_is_the_mean_over_a_texts_tokens(backbone: Path):
    encoder = load_backbone(str(backbone)).train()
    alone = encoder(torch.tensor([[2, 3]]), torch.tensor([[1, 1]]))
    padded = encoder(torch.tensor([[2, 3, 0]]), torch.tensor([[1, 1, 0]]))
    torch.testing.assert_close(padded, alone)
    states = encoder.backbone(input_ids=torch.tensor([[2, 3]])).last_hidden_state
    torch.testing.assert_close(alone, states.mean(1))


def test_texts_are_cut_and_padded(backbone: Path):
    ids, mask = tokenise(load_tokenizer(str(backbone), 3), ["milk bread soap 1 2", "tea"])
    assert ids.tolist() == [[2, 3, 4], [1, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_a_masked_and_a_causal_backbone(backbone: Path, decoder: Path):
    assert mask_token(str(backbone)) == 15
    assert mask_token(str(decoder)) is None
    assert type(load_language_model(str(backbone), masked=True)).__name__ == "BertForMaskedLM"
    assert type(load_language_model(str(decoder), masked=False)).__name__ == "GPT2LMHeadModel"
    with pytest.raises(ValueError, match="is no Hugging Face model"):
        load_language_model(str(decoder), masked=True)


def test_other_weights_have_another_fingerprint(backbone: Path, tmp_path: Path):
    model = load_backbone(str(backbone)).backbone
    changed = copy.deepcopy(model)
    with torch.no_grad():
        next(changed.parameters()).add_(1)
    prints = []
    for number, each in enumerate((model, model, changed)):
        folder = tmp_path / str(number) / "model"
        each.save_pretrained(folder)
        prints.append(fingerprint(str(folder)))
    assert prints[0] == prints[1] != prints[2]
