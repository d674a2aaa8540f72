"""A night that starts from the champion: whose weights land where, in whose terms items are counted, and when not."""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from safetensors.torch import load_file

from tests.training.conftest import DAY, write_histories, write_items
from tests.training.launcher import fork
from training import tracking
from training.champion import Champion, choose
from training.checkpoints import Checkpoints
from training.consolidate import consolidate
from training.data import Night, load
from training.export import FORMAT
from training.start import build, remember, untrained
from training.warm_start import item_vectors
from training.weeks import since

LATER = DAY + timedelta(days=3)


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of two nights three days apart: 32 users of 8 tastes, who buy 3 items each, and one of another.

    What is new comes first in the alphabet, so that everything else has another number the second night.
    """
    lake = tmp_path_factory.mktemp("nights")
    ages = range(100, 0, -3)  # before the end of the later night
    whole = {
        f"u{user:02}": [(f"i{3 * (user % 8) + (place + user // 8) % 3:02}", age) for place, age in enumerate(ages)]
        for user in range(32)
    }
    whole["u32"] = [("a", 9)]  # held out from the first night
    texts = {f"i{item:02}": f"{('milk', 'bread', 'soap')[item % 3]} {item % 10}" for item in range(24)}
    first = {user: [(item, age - 3) for item, age in events if age > 3] for user, events in whole.items()}
    for day, histories, described in ((DAY, first, texts), (LATER, whole, {"a": "another 1", **texts})):
        write_histories(lake, histories, day)
        write_items(lake, {"a": "milk 1", **described}, day)
    return lake


@pytest.fixture(scope="module")
def before(nights: Path) -> Night:
    return load(str(nights), DAY).training()


@pytest.fixture(scope="module")
def night(nights: Path) -> Night:
    return load(str(nights), LATER).training()


def champion_of(folder: Path, night: Night, recipe) -> Champion:
    """The files of a champion of that night whose every weight is random, as are the axes of its items' vectors."""
    torch.manual_seed(7)
    model = untrained(recipe, night, recipe.backbone_folder)
    for parameter in model.parameters():
        parameter.data.normal_()
    model.items.centre.normal_()
    turn = torch.linalg.qr(torch.randn(recipe.id_dim, recipe.id_dim)).Q
    vectors = torch.from_numpy(item_vectors(night, recipe.id_dim, recipe.seed, night.cut))
    model.items.own.weight.data[1:] = vectors @ turn
    (folder / "export").mkdir(parents=True)
    consolidate(model, folder / "model.safetensors")
    told = {"items": night.item_ids[: night.known], "tags": night.tag_names}
    told["manifest"] = {"format": FORMAT, "trained_before": night.cut}
    for name, value in told.items():
        (folder / f"export/{name}.json").write_text(json.dumps(value))
    return Champion(folder, "a run", "3", night.cut)


@pytest.fixture
def champion(tmp_path: Path, before: Night, tiny) -> Champion:
    return champion_of(tmp_path / "champion", before, tiny)


def test_rows_go_by_item_and_tag_and_the_rest_as_it_is(champion: Champion, before: Night, night: Night, tiny):
    assert (before.item_ids[:2], night.item_ids[:2]) == (["i00", "i01"], ["a", "i00"])
    assert [names[0] for names in (before.tag_names, night.tag_names)] == ["category bread", "category another"]
    model = untrained(tiny, night, tiny.backbone_folder)
    cold = {name: value.clone() for name, value in model.state_dict().items()}
    champion.adopt(model, night, counted=())
    found, theirs = model.state_dict(), load_file(champion.folder / "model.safetensors")
    by_item = {f"items.{name}.weight" for name in ("own", "own_bias")} | {"heads.usual.weight"}
    for name in by_item | {"items.tags.weight"}:  # 0 is none, 1 is new, and then all of the champion's in their order
        assert torch.equal(found[name][0], theirs[name][0])
        assert torch.equal(found[name][1], cold[name][1])
        assert torch.equal(found[name][2:], theirs[name][1:])
    for name in theirs.keys() - by_item - {"items.tags.weight"}:
        assert torch.equal(found[name], theirs[name]), name


def test_what_is_counted_is_the_nights(champion: Champion, night: Night, tiny):
    """The champion's counts know days that the night's older queries don't."""
    model = build(tiny, night, tiny.backbone_folder, champion).recommender
    theirs = load_file(champion.folder / "model.safetensors")
    usual = untrained(tiny, night, tiny.backbone_folder)
    remember(usual, tiny, night, since(night, tiny))
    assert torch.equal(model.heads.usual.weight, usual.heads.usual.weight)
    assert torch.equal(model.users.copy, theirs["users.copy"])
    assert torch.equal(model.heads.offset, theirs["heads.offset"])


def test_learned_vectors_of_items_are_the_champions(champion: Champion, night: Night, tiny):
    model = build(replace(tiny, id_lr=1e-3), night, tiny.backbone_folder, champion).recommender
    theirs = load_file(champion.folder / "model.safetensors")
    assert torch.equal(model.items.own.weight[2:], theirs["items.own.weight"][1:])
    assert torch.equal(model.items.own_bias.weight[2:], theirs["items.own_bias.weight"][1:])


def test_counted_vectors_are_turned_to_the_champions(champion: Champion, night: Night, tiny):
    """Those of the start of training, and those that are exported."""
    places, theirs = champion.vectors(night)
    assert [night.item_ids[place] for place in places] == [f"i{item:02}" for item in range(24)]

    def cosines(until: float, like: tuple | None) -> np.ndarray:
        model = untrained(tiny, night, tiny.backbone_folder)
        remember(model, tiny, night, until, like)
        ours = model.items.own.weight.detach().numpy()[places + 1]
        return (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)

    for until in (since(night, tiny), night.cut):
        assert cosines(until, (places, theirs)).min() > 0.95
    assert cosines(night.cut, None).min() < 0.5  # else there was nothing to turn


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowClient]:
    home = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home / 'mlflow.db'}")
        patch.chdir(home)
        yield tracking.connect()


def crown(client: MlflowClient, champion: Champion) -> str:
    """Make these files champion; the run's id."""
    run_id = tracking.start(client, "finetune", None, {"recipe": "cpu", "day": str(DAY)}, {})
    client.log_artifacts(run_id, str(champion.folder))
    client.set_registered_model_alias(tracking.MODEL, tracking.CHAMPION, tracking.register(client, run_id).version)
    return run_id


def test_the_champion_is_chosen_once(client: MlflowClient, champion: Champion, night: Night, tiny, tmp_path: Path):
    run_id = crown(client, champion)

    def again() -> Champion | None:
        return choose(client, tmp_path / "kept", night, lambda: untrained(tiny, night, tiny.backbone_folder))

    found = again()
    assert (found.run_id, found.trained_before) == (run_id, night.cut - 3)
    assert np.array_equal(found.vectors(night)[1], champion.vectors(night)[1])
    assert crown(client, champion) != run_id
    assert again() == found


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": FORMAT - 1}, f"has format {FORMAT - 1}, not {FORMAT}"),
        ({"days": 3}, "was trained on what came before 2024-03-28, and this night ends training at 2024-03-28"),
        ({"width": 24}, r"has other shapes: users\.\S+ is \(24,"),
        ({"layers": 1}, r"has other shapes: users\.blocks\.1\S+ is none, here \("),
        ({"without": "model.safetensors"}, "has no model.safetensors"),
    ],
)
def test_a_champion_that_does_not_fit(client, before, night, tiny, tmp_path, caplog, change: dict, why: str):
    shape = {name: value for name, value in change.items() if name in ("width", "layers")}
    champion = champion_of(tmp_path / "champion", before, replace(tiny, **shape))
    manifest = champion.folder / "export/manifest.json"
    told = {"format": change.get("format", FORMAT), "trained_before": before.cut + change.get("days", 0)}
    manifest.write_text(json.dumps(told))
    if "without" in change:
        (champion.folder / change["without"]).unlink()
    crown(client, champion)
    with caplog.at_level(logging.INFO, "training.champion"):
        assert choose(client, tmp_path / "kept", night, lambda: untrained(tiny, night, tiny.backbone_folder)) is None
    assert caplog.messages[-1].startswith("starts from the backbone: ")
    assert caplog.records[-1].name == "training.champion"
    assert re.search(why, caplog.messages[-1]), caplog.messages[-1]


def test_without_a_champion(client: MlflowClient, night: Night, tmp_path: Path, caplog, monkeypatch):
    monkeypatch.setattr(tracking, "champion", lambda _: None)
    with caplog.at_level(logging.INFO, "training.champion"):
        assert choose(client, tmp_path, night, lambda: pytest.fail("there is nothing to compare")) is None
    assert caplog.messages == ["starts from the backbone: there is no champion"]


@pytest.mark.filterwarnings("ignore")
def test_a_warm_night_goes_on_where_the_champion_ended(tmp_path: Path, nights: Path, tiny):
    home = tmp_path / "home"
    learned = {"repeats_steps": 0, "lr": 3e-3, "gain_lr": 3e-2}  # repeats beside the others, so that all have far to go
    recipe = replace(tiny, warm=True, steps=24, warm_steps=6, users=12, checkpoint_every=12, **learned)
    runs, started = {}, {}
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    for day in (DAY, LATER):
        done = fork(home, nights, recipe, day=day)
        assert done.returncode == 0, done.stderr[-3000:]
        experiment = client.get_experiment_by_name("nightly").experiment_id
        (run,) = client.search_runs([experiment], f"tags.stage = 'finetune' and tags.day = '{day}'")
        runs[day], started[day] = run, client.get_metric_history(run.info.run_id, "next_item_loss")
        (version,) = client.search_model_versions(f"name = 'recommender' and run_id = '{run.info.run_id}'")
        client.set_registered_model_alias("recommender", "champion", version.version)
    cold, warm = runs[DAY], runs[LATER]
    assert (cold.data.tags["warm_from"], warm.data.tags["warm_from"]) == ("backbone", "1")
    assert warm.data.params["warm_from_run"] == cold.info.run_id
    assert {day: len(curve) for day, curve in started.items()} == {DAY: 24, LATER: 6}
    assert started[LATER][0].value < started[DAY][0].value - 0.1
    with pytest.raises(ValueError, match=f"warm_from_run was '{cold.info.run_id}', is 'another'"):
        Checkpoints(home / "checkpoints" / "cpu" / str(LATER) / "finetune").check({"warm_from_run": "another"})
    ours, theirs = (
        load_file(home / "checkpoints" / "cpu" / str(day) / "finetune/model/model.safetensors")["items.own.weight"]
        for day in (LATER, DAY)
    )
    assert torch.cosine_similarity(ours[2:], theirs[1:]).min() > 0.95
