"""All tasks at once: what there is to learn, and that every method of weighing learns it."""

from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
import torch
from deltalake import DeltaTable, write_deltalake

from tests.training.conftest import DAY, fill
from tests.training.test_queries import write_texts
from training.backbone import load_tokenizer, tokenise
from training.balance import METHODS
from training.batches import batches
from training.data import Night, load
from training.objective import tasks
from training.start import build
from training.texts import TextTable

ALL = ("next_item", "click", "purchase", "spend", "relevance", "variety")


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A night whose lake knows clicks, and reviews too."""
    lake = tmp_path_factory.mktemp("rich")
    fill(lake)
    table = DeltaTable(str(lake / "behaviour/exposures")).to_pyarrow_table()
    bought, place = table["bought"].to_numpy(), np.arange(len(table))
    clicked = pa.array([bool(yes) or spot % 3 == 0 for yes, spot in zip(bought, place, strict=True)])
    table = table.append_column("clicked", clicked)
    write_deltalake(str(lake / "behaviour/exposures"), table, mode="overwrite", schema_mode="overwrite")
    write_texts(lake, [("review", f"soap {item} milk", f"i{item:02}", date(2024, 1, 1)) for item in range(9)])
    night = load(str(lake), DAY).training()
    money = 1.0 + night.histories.items % 5 + night.histories.users % 3
    return replace(night, histories=replace(night.histories, amounts=money))


@pytest.mark.parametrize("balance", METHODS)
def test_every_task_learns_by_every_method(rich: Night, tiny, balance: str):
    recipe = replace(tiny, balance=balance, users=8, asked=4, bfloat16=False)
    objective = build(recipe, rich, recipe.backbone_folder)
    assert objective.tasks == ALL
    tokens = TextTable(*tokenise(load_tokenizer(recipe.backbone_folder, 8), rich.texts), bfloat16=False)
    learning = [each for each in objective.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-2, weight_decay=0.0)
    heads = objective.recommender.heads
    before = {name: value.detach().clone() for name, value in heads.named_parameters()}
    curve = []
    for step in range(40):
        arrays = batches(rich, recipe).draw(step % 4, 0)
        arrays |= dict(zip(("token_ids", "attention_mask"), tokens.tokens(arrays["live"]), strict=True))
        told = objective({name: torch.from_numpy(array) for name, array in arrays.items()})
        told[0].backward()
        optimizer.step()
        optimizer.zero_grad()
        curve.append(told.detach())
    first, last = torch.stack(curve[:4]).mean(0), torch.stack(curve[-4:]).mean(0)
    names = ("loss", *(f"{task}_{what}" for what in ("loss", "weight") for task in ALL))
    found = dict(zip(names, zip(first.tolist(), last.tolist(), strict=True), strict=True))
    for task in ALL:
        start, end = found[f"{task}_loss"]
        assert end < start, (task, found)
    if balance != "mgda":  # where one gradient is far shorter than the others it may be all there is of their mean
        assert all(found[f"{task}_weight"][1] > 0 for task in ALL)
    # what is counted isn't learned
    assert torch.equal(heads.usual.weight, before["usual.weight"])


def test_labels_that_are_all_alike_teach_nothing(rich: Night, tiny, caplog: pytest.LogCaptureFixture):
    never = replace(rich, exposures=replace(rich.exposures, bought=np.zeros_like(rich.exposures.bought)))
    assert tasks(never, tiny) == tuple(name for name in ALL if name != "purchase")
    assert "behaviour.exposures: bought is False in all" in caplog.text


def test_where_events_follow_events_nothing_is_asked_of_weeks(rich: Night, tiny):
    assert tasks(rich, replace(tiny, predict="next", epochs=1)) == ("next_item", "spend", "relevance")
