"""Recipes: by name, by file, and for as many ranks as can share a step."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from training.parts import Pretraining, Privacy
from training.recipe import Recipe
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


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"epsilon": 0.0}, "epsilon is 0.0, not above 0"),
        ({"delta": 1.0}, "delta is 1.0, not between 0 and 1"),
        ({"clip": float("inf")}, "clip is infinite: no noise is enough then"),
    ],
)
def test_a_plan_that_protects_nobody(fields: dict, why: str):
    with pytest.raises(ValueError, match=why):
        Privacy(**fields)


def test_a_private_recipe_by_file_and_not_in_shards_of_weights(tmp_path: Path):
    private = recipe("cpu_private")
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(private.parameters()))
    assert recipe(str(path)) == private
    with pytest.raises(ValueError, match="recipe cpu_private is private: a user's gradient needs whole weights"):
        replace(private, hardware="cpu_zero3").deepspeed(1, 2, 4)


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(
        ValueError, match="no recipe is called 'tpu'; there are: cpu, cpu_warm, cpu_uncounted, cpu_private, seq"
    ):
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
        ({"counted": False}, "counted is False, so repeats_steps must be 0"),
        ({"counted": False, "repeats_steps": 0, "id_lr": 0.1}, "counted is False, so id_lr must be 0.0"),
        ({"private": Privacy()}, "private, so counted must be False"),
        ({"private": Privacy(), "counted": False, "repeats_steps": 0}, "private, so tuned_layers must be 0"),
    ],
)
def test_a_recipe_that_cannot_be_trained(fields: dict, why: str):
    with pytest.raises(ValueError, match=f"recipe mine: {why}"):
        Recipe(**({"name": "mine", "hardware": "cpu"} | fields))
