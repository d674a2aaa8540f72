"""Our model as a shop gets it: a lake, the launcher with its ranks, and the lists that its export makes."""

import json
import os
import subprocess
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from benchmarks.accuracy.protocol import Scores, Split
from training import launcher
from training.data import MICROSECONDS_A_DAY, Histories, Night
from training.recipe import Recipe
from training.served import Exported

RANKS = 2  # on the CPU
PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Catalogue:
    """What training reads of the items, by position."""

    ids: list[str]
    texts: list[str]
    brands: list[str | None]
    paths: list[list[str]]


def write_lake(lake: Path, day: date, users: list[str], histories: Histories, catalogue: Catalogue) -> None:
    """The night ``day`` of a lake with the two tables that training needs.

    Args:
        users: names in ascending order, so that training numbers them alike.
        histories: of these users; times are days since 1970-01-01.
    """
    stamps = pa.array(np.round(histories.times * MICROSECONDS_A_DAY).astype(np.int64)).cast(pa.timestamp("us", "UTC"))
    ids = pa.array(catalogue.ids)
    columns = {
        "item_ids": ids.take(pa.array(histories.items)),
        "times": stamps,
        "amounts": pa.array(histories.amounts, from_pandas=True),
        "baskets": pa.array(histories.baskets).cast(pa.string()),
    }
    offsets = pa.array(histories.offsets.astype(np.int32))
    lists = {name: pa.ListArray.from_arrays(offsets, values) for name, values in columns.items()}
    nights = pa.array([day] * len(users), pa.date32())
    rows = pa.table({"day": nights, "user_id": users, **lists})
    items = {"day": pa.array([day] * len(ids), pa.date32()), "item_id": ids, "text": catalogue.texts}
    brands, paths = pa.array(catalogue.brands, pa.string()), pa.array(catalogue.paths, pa.list_(pa.string()))
    write_deltalake(str(lake / "behaviour/histories"), rows, partition_by=["day"], mode="append")
    write_deltalake(
        str(lake / "catalogue/items"),
        pa.table({**items, "brand": brands, "category_path": paths}),
        partition_by=["day"],
        mode="append",
    )


def write_texts(lake: Path, day: date, catalogue: Catalogue) -> None:
    """The night's ``catalogue.texts``, for pre-training: the titles."""
    texts = sorted({text for text in catalogue.texts if text})
    nothing, kinds = pa.nulls(len(texts), pa.string()), pa.array(["title"] * len(texts))
    columns = {"text_id": texts, "kind": kinds, "text": texts, "about": nothing, "item_id": nothing}
    dates = {
        name: pa.array([each] * len(texts), pa.date32()) for name, each in (("day", day), ("since", date(1970, 1, 1)))
    }
    write_deltalake(str(lake / "catalogue/texts"), pa.table({**dates, **columns}), partition_by=["day"])


def train(folder: Path, lake: Path, day: date, recipe: Recipe) -> Path:
    """The export of a training run in ``folder``, started as a night starts it; a recipe for one GPU has one rank.

    Raises:
        RuntimeError: the launcher failed; its last lines are in the message.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json").write_text(json.dumps(recipe.parameters()))
    gpu = recipe.hardware == "gpu"
    options = ["--recipe", str(folder / "recipe.json"), "--day", day.isoformat(), "--lake", str(lake)]
    for stage in ("pretrain", "finetune") if recipe.pretraining else ("finetune",):
        with open(folder / f"{stage}.log", "w") as log:
            command = [*launcher.command(1 if gpu else RANKS, f"training.{stage}"), *options]
            done = subprocess.run(command, cwd=folder, env=environment(folder, gpu=gpu), stdout=log, stderr=log)
        if done.returncode:
            raise RuntimeError(f"{stage} failed:\n" + (folder / f"{stage}.log").read_text()[-2000:])
    return folder / "checkpoints" / recipe.name / day.isoformat() / "finetune/model/export"


def environment(folder: Path, *, gpu: bool = False) -> dict[str, str]:
    """Of a training of its own: its checkpoints and MLflow stay in ``folder``; without ``gpu`` it sees none."""
    on_cpu = {"DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return {
        **os.environ,
        **({} if gpu else on_cpu),
        "PYTHONPATH": str(PROJECT),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "NIGHT_CHECKPOINTS": str(folder / "checkpoints"),
    }


def scores(export: Path, night: Night, catalogue: Catalogue, split: Split) -> Scores:
    """Of the export's model, which knows of each user what the split says when it asks."""
    served = Exported(export).serve(night)
    place = dict(zip(night.item_ids, range(len(night.item_ids)), strict=True))
    here = np.array([place[item] for item in catalogue.ids])
    seen = replace(split.asked, items=here[split.asked.items])
    return lambda users: served.users(seen, users, split.now).scores.numpy()[:, here]
