"""Federated averaging on the tiny shop."""

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.conftest import DAY
from training.__main__ import main
from training.data import Night, load
from training.federated import Federation, shards
from training.public import public
from training.recipe import Recipe
from training.start import build
from training.weeks import Weeks

RATE = 0.5


@pytest.fixture(scope="module")
def recipe(tiny) -> Recipe:
    return replace(tiny, counted=False, repeats_steps=0, tuned_layers=0, bfloat16=False, users=8)


@pytest.fixture(scope="module")
def night(lake: Path) -> Night:
    return public(load(str(lake), DAY)).training()


def sgd(groups: list[dict]) -> torch.optim.Optimizer:
    return torch.optim.SGD([each for group in groups for each in group["params"]], lr=RATE)


def weights(objective) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(each for each in objective.parameters() if each.requires_grad).detach()


def test_every_user_is_at_one_client_with_all_their_events(night: Night):
    parts = shards(night, 3)
    assert sorted(user for part in parts for user in part.user_ids) == night.user_ids
    for part in parts:
        for place, user in enumerate(part.user_ids):
            whole = night.histories.of(night.user_ids.index(user))
            for mine, theirs in zip(part.histories.of(place), whole, strict=True):
                np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(ValueError, match="25 users are too few for 200 shards: one has nobody"):
        shards(night, 200)


def test_one_client_with_one_step_is_plain_gradient_descent(recipe: Recipe, night: Night):
    objective = build(recipe, night, recipe.backbone_folder)
    plain = deepcopy(objective)
    (told,) = Federation(objective, night, recipe, count=1, rounds=1, local_steps=1, optimizer=sgd).run()
    learning = [each for each in plain.parameters() if each.requires_grad]
    batch = Weeks(night, recipe).draw(0, 0)
    loss = plain({name: torch.from_numpy(each) for name, each in batch.items()})[0]
    loss.backward()
    torch.nn.utils.clip_grad_norm_(learning, 1.0)
    moved = torch.cat([-RATE * each.grad.flatten() for each in learning])
    assert told.loss == pytest.approx(loss.item())
    assert told.sent == 4 * (len(moved) + 1)
    assert moved.abs().max() > 1e-3
    torch.testing.assert_close(weights(objective), weights(plain) + moved, atol=1e-5, rtol=0)


def test_the_server_moves_by_the_mean_over_users_of_what_clients_moved(recipe: Recipe, night: Night):
    start = build(recipe, night, recipe.backbone_folder)
    together, ends = deepcopy(start), []
    federation = Federation(together, night, recipe, count=3, rounds=2, local_steps=2, optimizer=sgd)
    next(federation.run())
    for client in federation.clients:
        alone = deepcopy(start)
        other = Federation(alone, client.weeks.night, recipe, count=1, rounds=2, local_steps=2, optimizer=sgd)
        other.clients[0].party.place = client.party.place  # whose batches are drawn
        next(other.run())
        ends.append(weights(alone) - weights(start))
    users = torch.tensor([float(client.users) for client in federation.clients])
    assert len(set(users.tolist())) > 1
    mean = (torch.stack(ends) * users[:, None]).sum(0) / users.sum()
    torch.testing.assert_close(weights(together) - weights(start), mean, atol=1e-4, rtol=0)


def test_a_recipe_that_counts_over_all_users_is_not_federated(tiny, night: Night):
    with pytest.raises(ValueError, match="recipe cpu: a federation needs counted=False"):
        Federation(None, night, tiny, count=1, rounds=1, local_steps=1)


def test_the_command_says_what_it_simulates_and_what_it_costs(
    recipe: Recipe, night: Night, lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.setenv("NIGHT_CHECKPOINTS", str(tmp_path))
    (tmp_path / "mine.json").write_text(json.dumps(recipe.parameters()))
    told = ["--recipe", str(tmp_path / "mine.json"), "--day", str(DAY), "--lake", str(lake)]
    assert main(["federated", *told, "--shards", "2", "--rounds", "2", "--local-steps", "1"]) == 0
    first, *rounds, ours, popular, frequent = capsys.readouterr().out.splitlines()
    assert first == "a SIMULATION: one process plays the server and 2 clients in turn"
    sent = 4 * (len(weights(build(recipe, night, recipe.backbone_folder))) + 1)
    assert [line.split(":")[0] for line in rounds] == ["round 1 of 2", "round 2 of 2"]
    assert all(f", {sent:,} bytes sent by each client, masks took " in line for line in rounds)
    assert [line.split()[0] for line in (ours, popular, frequent)] == ["federated", "popularity", "top_frequency"]
    assert main(["federated", *told[2:], "--recipe", "cpu"]) == 1
    assert "error: recipe cpu: a federation needs counted=False" in capsys.readouterr().err
