"""Eight bits: what a row becomes, what that costs, and exports that hold it."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.training.conftest import DAY
from training.backbone import load_backbone, load_tokenizer
from training.compress import Vectors, bfloat16_vectors, compressed, int8_rows, int8_vectors
from training.consolidate import consolidate
from training.data import load
from training.export import export
from training.model import Recommender
from training.precision import mixed


def test_a_row_by_hand():
    values, scale = int8_rows(torch.tensor([[127.0, -63.4, 0.5], [0.0, 0.0, 0.0], [-2.54, 1.27, 0.01]]))
    assert values.dtype == torch.int8
    assert values.tolist() == [[127, -63, 0], [0, 0, 0], [-127, 64, 0]]  # halves go to the even number: 63.5 and 0.5
    assert scale.tolist() == pytest.approx([1.0, 0.0, 0.02])


@pytest.mark.parametrize("size", [1e-42, 1e-30, 1.0, 1e30])
def test_no_entry_moves_by_more_than_half_a_scale(size: float):
    torch.manual_seed(0)
    matrix = torch.randn(50, 40) * size
    values, scale = int8_rows(matrix)
    apart = (values.double() * scale.double().unsqueeze(1) - matrix.double()).abs()
    assert (apart <= scale.double().unsqueeze(1) / 2 * (1 + 1e-6)).all()
    assert size < 1e-38 or (values.abs().amax(1) == 127).all()


def small() -> nn.ModuleDict:
    """A linear layer that 8 bits hold exactly, one without a bias, an embedding and a norm."""
    layers = {"linear": nn.Linear(3, 2), "bare": nn.Linear(3, 2, bias=False), "words": nn.Embedding(2, 2)}
    module = nn.ModuleDict({**layers, "norm": nn.LayerNorm(2), "biases": nn.Embedding(4, 1)})
    with torch.no_grad():
        for name in ("linear", "bare"):
            module[name].weight.copy_(torch.tensor([[127.0, -63.0, 2.0], [0.0, 0.0, 0.0]]))
        module["linear"].bias.copy_(torch.tensor([0.25, -0.5]))
        module["words"].weight.copy_(torch.tensor([[1.27, -0.5], [0.0, 254.0]]))
    return module


@pytest.mark.parametrize("dynamic", [False, True])
def test_layers_by_hand(dynamic: bool):
    module = small()
    found = compressed(module, dynamic=dynamic)
    inputs = torch.tensor([[[1.0, 127.0, 0.0]], [[0.0, 0.0, 0.0]]])
    assert found["linear"](inputs).tolist() == [[[127.0 - 63 * 127 + 0.25, -0.5]], [[0.25, -0.5]]]
    assert found["bare"](inputs).tolist() == [[[127.0 - 63 * 127, 0.0]], [[0.0, 0.0]]]
    words = found["words"](torch.tensor([[1], [0]]))
    torch.testing.assert_close(words, torch.tensor([[[0.0, 254.0]], [[1.27, -0.5]]]), atol=1e-6, rtol=0)


def test_dynamic_rounds_the_input_too():
    found = compressed(small(), dynamic=True)
    # of [1, 254, 0], the scale is 2, and half a scale goes to the even number, 0
    assert found["bare"](torch.tensor([1.0, 254.0, 0.0])).tolist() == [-63.0 * 254, 0.0]
    assert compressed(small())["bare"](torch.tensor([1.0, 254.0, 0.0])).tolist() == [127.0 - 63 * 254, 0.0]


def test_it_is_a_copy_and_only_what_gets_smaller_is_rounded():
    module = small()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found = compressed(module)
    assert {name: value.dtype for name, value in found.state_dict().items() if value.dtype == torch.int8} == {
        f"{name}.weight": torch.int8 for name in ("linear", "bare", "words")
    }
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    found["norm"].weight.fill_(9)
    found["linear"].bias.fill_(9)
    assert torch.equal(module["norm"].weight, torch.ones(2))
    assert torch.equal(module["linear"].bias, before["linear.bias"])
    assert found["biases"].weight.dtype == torch.float32


def test_a_weight_that_is_not_finite():
    module = small()
    with torch.no_grad():
        module["bare"].weight[1, 1] = float("nan")
    with pytest.raises(ValueError, match=r"bare\.weight holds a value that is not finite"):
        compressed(module)


def test_the_consolidated_file_is_a_quarter(tmp_path: Path):
    module = nn.Sequential(nn.Embedding(512, 256), nn.Linear(256, 256))
    sizes = []
    for each in (module, compressed(module)):
        consolidate(each, tmp_path / "model.safetensors")
        sizes.append((tmp_path / "model.safetensors").stat().st_size)
    assert sizes[1] / sizes[0] == pytest.approx(0.25, abs=0.01)
    assert load_file(tmp_path / "model.safetensors")["0.weight"].dtype == torch.int8


@pytest.mark.parametrize("dynamic", [False, True])
def test_an_export_of_it_gives_its_vectors(tmp_path: Path, lake: Path, tiny, dynamic: bool):
    night = load(str(lake), DAY).training()
    torch.manual_seed(4)
    model = Recommender(load_backbone(tiny.backbone_folder), night.known, len(night.tag_names), tiny).eval()
    plain, model.texts = model.texts, compressed(model.texts, dynamic=dynamic)
    export(model, load_tokenizer(tiny.backbone_folder, tiny.max_tokens), night, tiny, tmp_path / "export")
    ids, mask = torch.tensor([[2, 6, 3, 8], [4, 9, 0, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    tags, index = torch.tensor([[1], [2]]), torch.tensor([1, 2])
    program = torch.export.load(tmp_path / "export/item_encoder.pt2")
    held = {name: value.dtype for name, value in program.state_dict.items() if name.startswith("texts.")}
    assert held["texts.backbone.encoder.layer.0.output.dense.weight"] == torch.int8
    assert held["texts.backbone.embeddings.word_embeddings.weight"] == torch.int8
    with torch.no_grad():
        found, *_ = program.module()(ids, mask, tags, index)
        with mixed("cpu", tiny.bfloat16):
            texts, whole = model.texts(ids, mask), plain(ids, mask)
    torch.testing.assert_close(found, model.items(texts, tags, index), atol=1e-5, rtol=1e-5)
    assert torch.cosine_similarity(texts, whole).min() > 0.999


MATRIX = torch.tensor([[1.27, -0.635, 0.0, 50.0], [0.0, 0.0, 0.0, -3.0]])
USERS = torch.tensor([[1.0, 2.0, 3.0, 0.5], [0.0, 127.0, 1.0, 0.0]])


def test_int8_vectors_by_hand():
    found = int8_vectors(MATRIX)
    assert found.values.tolist() == [[127, -64, 0], [0, 0, 0]]
    assert found.scale[0].item() == pytest.approx(0.01)
    assert found.bias.tolist() == [50.0, -3.0]
    assert found.bytes_per_item == 3 + 4 + 4
    torch.testing.assert_close(found.decoded(), torch.tensor([[1.27, -0.64, 0.0, 50.0], [0.0, 0.0, 0.0, -3.0]]))
    wanted = torch.tensor([[1.27 - 1.28 + 25, -1.5], [-0.64 * 127, 0.0]])
    torch.testing.assert_close(found.products(USERS), wanted)
    # of the first user 42.3, 84.7 and 127 of a scale of 3 / 127 are left, and the bias's share stays whole
    rough = torch.tensor([[3 / 127 * (1.27 * 42 - 0.64 * 85) + 25, -1.5], [-0.64 * 127, 0.0]])
    torch.testing.assert_close(found.rough(USERS), rough)


def test_bfloat16_vectors_by_hand():
    matrix = torch.tensor([[1 + 2**-7, 1 + 2**-9, 0.0, 50.01]])
    found = bfloat16_vectors(matrix)
    assert found.values.dtype == torch.bfloat16
    assert found.bytes_per_item == 6 + 4
    assert found.decoded().tolist() == [[1 + 2**-7, 1.0, 0.0, pytest.approx(50.01)]]
    torch.testing.assert_close(found.products(USERS[:1]), torch.tensor([[1 + 2**-7 + 2 + 25.005]]))


def test_a_large_bias_costs_the_other_entries_nothing():
    torch.manual_seed(1)
    matrix, users = torch.randn(100, 17), torch.randn(20, 17)
    matrix[:, -1] = 1000.0
    matrix[:, :-1] *= 0.01
    alone = users[:, :-1] @ matrix[:, :-1].T
    found = int8_vectors(matrix).products(users) - users[:, -1:] * 1000
    torch.testing.assert_close(found, alone, atol=2e-3, rtol=0)


@pytest.mark.parametrize("kind", ["int8", "bfloat16", "float32"])
def test_rough_products_err_no_more_than_told(kind: str):
    torch.manual_seed(2)
    matrix, users = torch.randn(300, 33), torch.randn(40, 33) * torch.logspace(-3, 3, 40).unsqueeze(1)
    made = {"int8": int8_vectors, "bfloat16": bfloat16_vectors, "float32": plain}[kind](matrix)
    for each in (users, users.bfloat16().float()):  # of the latter bfloat16 rounds nothing but the products
        apart = (made.rough(each) - made.products(each)).abs().amax(1)
        assert (apart <= made.error(each)).all()
    # and the bound is no idle one
    assert kind == "float32" or (made.error(each) < 60 * apart).all()


def plain(matrix: torch.Tensor) -> Vectors:
    return Vectors(matrix[:, :-1], None, matrix[:, -1])


def test_a_vector_that_is_not_finite():
    for encode in (int8_vectors, bfloat16_vectors):
        with pytest.raises(ValueError, match="vector 1: entry 3 is inf"):
            encode(torch.tensor([[0.0] * 4, [0.0, 0.0, 0.0, float("inf")]]))
