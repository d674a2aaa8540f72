"""DP-SGD: what is clipped, what one user can change, and the real ranks on the tiny shop."""

import json
from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.conftest import DAY, write_histories, write_items
from tests.training.launcher import checkpoints, curve, fork, the_run
from training.data import Night, load
from training.objective import Objective
from training.parts import Privacy
from training.private import PrivateObjective, PrivateWeeks, clipped_sum
from training.public import public
from training.recipe import Recipe
from training.secret import KEY_BYTES, Secret
from training.start import build

KEY = Secret(b"k" * KEY_BYTES)
CLIP = 0.01
STEPS = 8


@pytest.fixture(scope="module")
def private(tiny) -> Recipe:
    """Everybody takes part in every step, without noise."""
    plan = Privacy(epsilon=inf, clip=CLIP)
    return replace(tiny, counted=False, repeats_steps=0, tuned_layers=0, private=plan, steps=STEPS, users=8)


def test_long_gradients_are_clipped_and_short_ones_are_not():
    weights = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    unused = torch.nn.Parameter(torch.zeros(1))
    users = [torch.tensor([3.0, 4.0]), torch.tensor([0.3, 0.0]), torch.zeros(2)]
    total, told = clipped_sum(lambda user: (user @ weights).reshape(1), users, [weights, unused], 1.0)
    torch.testing.assert_close(total, torch.tensor([0.9, 0.8, 0.0], dtype=torch.float64))
    assert told.item() == pytest.approx((11 + 0.3 + 0) / 3)
    assert clipped_sum(None, [], [weights], 1.0)[1] is None


def test_the_objectives_gradient_is_the_clipped_sum_and_the_noise(private, shop: Callable[..., Night]):
    night = shop("hermit")
    objective, weeks = built(private, night)
    learning = [each for each in objective.parameters() if each.requires_grad]
    total, told = clipped_sum(lambda user: Objective.forward(objective, user), users(weeks), learning, CLIP)
    loss = objective(users(weeks), lambda size: np.arange(size) / 100)
    loss[0].backward()
    found = torch.cat([each.grad.flatten() for each in learning])
    torch.testing.assert_close(found, ((total + torch.arange(len(total)) / 100) / private.users).float())
    torch.testing.assert_close(loss, told)


def test_one_user_more_changes_the_sum_by_one_clipped_gradient_and_nothing_else(private, shop: Callable[..., Night]):
    """Even one who alone bought an item: neither the model before its first step nor the others' batches tell."""
    found = {}
    for who in ("hermit", "nobody"):
        objective, weeks = built(private, shop(who))
        learning = [each for each in objective.parameters() if each.requires_grad]
        sums = clipped_sum(lambda user, of=objective: Objective.forward(of, user), users(weeks), learning, CLIP)
        found[who] = (objective.state_dict(), [*weeks.users(0, 0), *weeks.users(0, 1)], sums[0])
    (model, batches, total), (same, others, without) = found["hermit"], found["nobody"]
    assert all(torch.equal(each, same[name]) for name, each in model.items())
    assert (len(batches), len(others)) == (6, 5)
    told = [json.dumps({name: each.tolist() for name, each in batch.items()}) for batch in batches]
    assert {json.dumps({name: each.tolist() for name, each in batch.items()}) for batch in others} < set(told)
    assert float((total - without).norm()) == pytest.approx(CLIP, rel=1e-6)


def test_the_first_micro_batch_brings_the_noise_of_a_whole_step(private, shop: Callable[..., Night]):
    plan = Privacy(epsilon=3.0, delta=1e-3, clip=CLIP)
    weeks = PrivateWeeks(shop("hermit"), replace(private, private=plan), KEY)
    scale = weeks.guarantee.noise_multiplier * CLIP
    np.testing.assert_array_equal(weeks.noise(4, 0)(9), scale * KEY.normal(4, 9))
    assert weeks.noise(4, 1) is None
    assert PrivateWeeks(shop("hermit"), private, KEY).noise(4, 0) is None


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Night]:
    """Five users who share items, and the hermit, whose item nobody else bought; or nobody in the hermit's place."""

    def made(who: str) -> Night:
        lake = tmp_path_factory.mktemp("lake")
        shared = {f"u{user}": [(f"i{(user + age) % 4}", age) for age in range(50, 7, -3)] for user in range(5)}
        write_histories(lake, shared | ({"hermit": [("i7", age) for age in (31, 17, 9)]} if who == "hermit" else {}))
        write_items(lake, {f"i{item}": f"{('milk', 'bread', 'soap')[item % 3]} {item}" for item in range(9)})
        return public(load(str(lake), DAY)).training()

    return made


def built(recipe: Recipe, night: Night) -> tuple[PrivateObjective, PrivateWeeks]:
    objective = build(recipe, night, recipe.backbone_folder)
    objective.table.normal_(generator=torch.Generator().manual_seed(1))
    # what starts at 0 would hide what it is multiplied with
    for each in (objective.recommender.users.say.weight, objective.recommender.users.repeats.out.weight):
        torch.nn.init.normal_(each, generator=torch.Generator().manual_seed(2))
    return objective, PrivateWeeks(night, recipe, KEY)


def users(weeks: PrivateWeeks):
    for shard in range(weeks.recipe.shards):
        for batch in weeks.users(0, shard):
            yield {name: torch.from_numpy(each) for name, each in batch.items()}


@pytest.fixture(scope="module")
def noisy(private) -> Recipe:
    return replace(private, users=4, private=Privacy(epsilon=3.0, delta=1e-3, clip=0.1))


def start(home: Path, lake: Path, recipe: Recipe, **more):
    """Ranks whose key is a known one: two runs of one key must be one run."""
    checkpoints(home).mkdir(parents=True, exist_ok=True)
    (checkpoints(home) / "noise.key").write_bytes(b"k" * KEY_BYTES)
    return fork(home, lake, recipe, **more)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, lake: Path, noisy) -> Path:
    home = tmp_path_factory.mktemp("private")
    done = start(home, lake, noisy)
    assert done.returncode == 0, done.stderr[-3000:]
    return home


def test_what_a_private_run_tells(trained: Path, noisy):
    run = the_run(trained)
    told = json.loads((checkpoints(trained) / "model/export/manifest.json").read_text())
    assert told["privacy"]["users"] == 25
    assert told["privacy"]["sample_rate"] == 8 / 25
    assert (told["tasks"], told["pull"]) == (["next_item"], None)
    assert 2.9 < told["privacy"]["epsilon"] <= 3.0
    assert [step for step, _ in curve(trained, "epsilon")] == [3, 7]
    assert run.data.metrics["epsilon"] == told["privacy"]["epsilon"]
    assert float(run.data.params["noise_multiplier"]) == told["privacy"]["noise_multiplier"]
    assert not (checkpoints(trained) / "noise.key").exists()


def test_killed_and_resumed_a_private_run_gives_the_same_curve(tmp_path: Path, trained: Path, lake: Path, noisy):
    home = tmp_path / "home"
    start(home, lake, noisy, KILL_BEFORE_STEP="6")
    assert (checkpoints(home) / "latest").read_text() == "step4"
    resumed = fork(home, lake, noisy, EXPORT="no")
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    for metric in ("loss", "gradient_norm"):
        assert curve(home, metric) == curve(trained, metric)


def test_one_rank_adds_the_noise_of_two(tmp_path: Path, trained: Path, lake: Path, noisy):
    home = tmp_path / "home"
    alone = start(home, lake, noisy, ranks=1, EXPORT="no")
    assert alone.returncode == 0, alone.stderr[-3000:]
    for metric in ("loss", "gradient_norm"):
        ours, theirs = ([value for _, value in curve(each, metric)] for each in (home, trained))
        assert ours == pytest.approx(theirs, rel=1e-3)
