"""Buying again, learned by itself: what is learned is what the shop's users do."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.conftest import DAY, write_histories, write_items
from training import rebuy
from training.data import load
from training.objective import Objective
from training.start import build, untrained
from training.weeks import Weeks


@pytest.fixture
def night(tmp_path: Path):
    """Everybody buys milk every day, takes one of four soaps every tenth day, and never the same tea again."""
    users = {
        f"u{user}": sorted(
            [("milk", age) for age in range(60, 0, -1)]
            + [(f"soap{user % 4}", age) for age in range(60, 0, -10)]
            + [(f"tea{age // 4}", age) for age in range(60, 0, -4)],
            key=lambda event: -event[1],
        )
        for user in range(8)
    }
    write_histories(tmp_path, users)
    names = {"milk", *(f"soap{n}" for n in range(4)), *(f"tea{n}" for n in range(16))}
    write_items(tmp_path, {name: name for name in sorted(names)})
    return load(str(tmp_path), DAY).training()


def mean_loss(objective, night, recipe) -> float:
    asked = Weeks(night, replace(recipe, users=8, queries=2, targets=8))
    repeats = objective.recommender.users.repeats
    with torch.no_grad():
        found = [rebuy.loss(repeats, asked, objective.again_of, np.random.default_rng([5, n])) for n in range(8)]
    return float(torch.stack(found).mean())


def test_repeats_learn_by_themselves(night, tiny):
    recipe = replace(tiny, repeats=8, repeats_steps=60, max_history=64, repeats_lr=1e-2)
    torch.manual_seed(1)
    model = untrained(recipe, night, recipe.backbone_folder)
    objective = Objective(model, night, recipe)
    still = {name: value.clone() for name, value in model.state_dict().items()}
    before = mean_loss(objective, night, recipe)
    rebuy.fit(objective, night)
    assert mean_loss(objective, night, recipe) < before - 0.1
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, still[name])}
    assert moved
    assert all(name.startswith("users.repeats.") for name in moved)


def test_the_softmax_is_over_the_different_items_of_a_history(tmp_path: Path, tiny):
    """Of two items in the history one is bought in the week: the loss of equal scores is the logarithm of two."""
    write_histories(tmp_path, {"u": [("a", 60), ("b", 40), ("a", 40), ("a", 16)]})
    write_items(tmp_path, {"a": "milk", "b": "tea"})
    night = load(str(tmp_path), DAY).training()
    model = untrained(replace(tiny, repeats=4), night, tiny.backbone_folder)
    with torch.no_grad():
        model.users.repeats.counted.zero_()
    cost = rebuy.loss(model.users.repeats, Weeks(night, tiny), torch.zeros(2, 1), np.random.default_rng(1))
    assert cost.item() == pytest.approx(np.log(2))


def test_a_resumed_run_leaves_it_to_the_checkpoint(night, tiny):
    recipe = replace(tiny, repeats=8, repeats_steps=3)
    told = [build(recipe, night, recipe.backbone_folder, resumed=resumed).recommender for resumed in (False, True)]
    assert told[0].users.repeats.out.weight.any()
    assert not told[1].users.repeats.out.weight.any()
