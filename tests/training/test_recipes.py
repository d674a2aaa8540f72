"""Recipes: by name, by file, and for as many ranks as can share a step."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from training.recipe import Pretraining, Recipe
from training.recipes import RECIPES, recipe


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_has_its_own_name_and_its_hardwares_configuration(name: str):
    chosen = recipe(name)
    assert chosen.name == name
    config = chosen.deepspeed(1, chosen.shards, chosen.users)
    assert config["train_micro_batch_size_per_gpu"] == chosen.users
    assert config["gradient_accumulation_steps"] == chosen.shards
    assert config["zero_optimization"]["stage"] in (0, 1, 2, 3)


def test_ranks_share_the_micro_batches_of_a_step():
    cpu = recipe("cpu")
    assert [cpu.deepspeed(ranks, 4, 32)["gradient_accumulation_steps"] for ranks in (1, 2, 4)] == [4, 2, 1]
    with pytest.raises(ValueError, match="recipe cpu has 4 micro-batches a step, which 3 ranks can't share"):
        cpu.deepspeed(3, 4, 32)


def test_offloading_is_an_option_of_every_hardware():
    several = replace(recipe("multihost"), offload=True).deepspeed(8, 16, 32)
    assert several["zero_optimization"]["stage"] == 3
    assert several["zero_optimization"]["offload_optimizer"] == {"device": "cpu"}
    assert "offload_optimizer" not in recipe("multihost").deepspeed(8, 16, 32)["zero_optimization"]


def test_a_recipe_of_ones_own(tmp_path: Path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"name": "mine", "hardware": "cpu", "layers": 4, "pretraining": {"steps": 9}}))
    mine = Recipe(name="mine", hardware="cpu", layers=4, pretraining=Pretraining(steps=9))
    assert recipe(str(path)) == mine
    path.write_text(json.dumps(mine.parameters()))
    assert recipe(str(path)) == mine


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "mine", "hardware": "cpu", "deep": 4}',
        "{",
        '{"layers": 4}',
        '{"name": "mine", "hardware": "cpu", "pretraining": {"stops": 4}}',
    ],
)
def test_a_file_that_is_no_recipe(tmp_path: Path, text: str):
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"mine\.json holds no recipe"):
        recipe(str(path))


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(ValueError, match="no recipe is called 'tpu'; there are: cpu, cpu_warm, sequences, gpu"):
        recipe("tpu")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"predict": "month"}, "predict is 'month', not week or next"),
        ({"predict": "next"}, "predict is 'next', which needs epochs of 1 or more"),
        ({"predict": "next", "epochs": 1, "warm": True}, "predict is 'next'; only week has a warm start"),
        ({"warm_steps": 0}, "warm_steps is 0, not 1 or more"),
        ({"replay": 1.5}, "replay is 1.5, not from 0 to 1"),
        ({"hardware": "tpu"}, "hardware is 'tpu', which has no JSON here"),
        ({"id_dim": 193}, "text_dim and id_dim must fit into dim - 1 = 192"),
    ],
)
def test_a_recipe_that_cannot_be_trained(fields: dict, why: str):
    with pytest.raises(ValueError, match=f"recipe mine: {why}"):
        Recipe(**({"name": "mine", "hardware": "cpu"} | fields))
