"""Beauty and Sports: our model, what text and fine-tuning add to it, and its peers, on the published split.

The tie-shuffled order is asked of our model as it is, of the quick peers, and of the best neural one. All of these
train on the CPU; where there is a GPU, ours with the whole language model and that peer, for its full schedule, train
there too.
"""

import sys
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import torch

from benchmarks.accuracy import OURS_GPU, amazon, ours
from benchmarks.accuracy.contenders import NEURAL, Contender, measured, neighbours, on_gpu, published
from benchmarks.accuracy.protocol import Lists, Split, figures, means, tops
from training.data import Night, load
from training.recipe import HELD_OUT_DAYS, Recipe
from training.recipes import recipe

DAY = date(2014, 7, 23)
SEEDS = (1,)  # of the tie-shuffled orders
QUICK_USERS, QUICK_EPOCHS, QUICK_SECONDS = 1500, 1, 20
RAW = "raw"
ALL_TEXTS = 1 << 16  # more than either catalogue has


def variants(quick: bool) -> dict[str, Recipe]:
    """Our recipe, and the same with a tuned language model and without text."""
    chosen = recipe("sequences")
    if quick:
        chosen = replace(chosen, epochs=QUICK_EPOCHS)
    tuned = replace(chosen, tuned_layers=2, refresh_every=250)
    return {"ours": chosen, "ours, text tuned": tuned, "ours, ids alone": chosen}


def whole_language_model(quick: bool) -> Recipe:
    """Our recipe for one GPU: the language model learns from all texts in every step, a micro-batch of as many users.

    What its layers say of a text is computed again on the way back: kept, that of all texts would take most of a GPU.
    """
    chosen = variants(quick)["ours"]
    return replace(
        chosen,
        hardware="gpu",
        threads=0,
        shards=1,
        users=chosen.users * chosen.shards,
        tuned_layers=6,
        backbone_lr=5e-5,
        live_texts=ALL_TEXTS,
        recompute=True,
        refresh_every=250,
        checkpoint_every=250,
    )


def compare(dataset: amazon.Dataset, quick: bool, *, gpu: bool = False) -> dict:
    """Figures by model, protocol and order.

    Args:
        gpu: only of what trains on the GPU, with popularity beside it.

    Raises:
        ValueError: there is no GPU for that.
    """
    if gpu and not torch.cuda.is_available():
        raise ValueError("--gpu: PyTorch sees no CUDA GPU here")
    found: dict = {}
    with tempfile.TemporaryDirectory(prefix="accuracy-") as folder:
        if gpu:
            _take(found, "popularity", RAW, neighbours(())["popularity"], dataset.split())
        else:
            _on_cpu(found, dataset, Path(folder), quick)
        if torch.cuda.is_available():
            _on_gpu(found, dataset, Path(folder) / "gpu", quick)
    return found


def _on_cpu(found: dict, dataset: amazon.Dataset, folder: Path, quick: bool) -> None:
    orders = {RAW: dataset} | ({} if quick else {f"shuffled {seed}": dataset.shuffled(seed) for seed in SEEDS})
    for order, data in orders.items():
        work = folder / order.replace(" ", "")
        spent = 0.0  # what our training took is what SASRec gets
        for name, contender in _ours(data, work, quick, order).items():
            _take(found, name, order, contender, data.split())
            spent = spent or found[name]["masked"][order]["seconds"]
        seconds, neural = QUICK_SECONDS if quick else spent, NEURAL if order == RAW else NEURAL[-1:]
        for name, contender in (neighbours(()) | published(work, seconds, neural)).items():
            _take(found, name, order, contender, data.split())


def _on_gpu(found: dict, dataset: amazon.Dataset, folder: Path, quick: bool) -> None:
    chosen = whole_language_model(quick)
    ours_there = {OURS_GPU: lambda split: train(dataset, split, chosen, folder)}
    for name, contender in (ours_there | on_gpu(folder, QUICK_SECONDS if quick else np.inf)).items():
        _take(found, name, RAW, contender, dataset.split())


def _ours(data: amazon.Dataset, folder: Path, quick: bool, order: str) -> dict[str, Contender]:
    """What text and fine-tuning add is asked in the file's order alone."""
    nameless = replace(data, texts=[""] * len(data.texts), attributes=[[] for _ in data.texts])
    return {
        name: lambda split, name=name, chosen=chosen: train(
            nameless if name == "ours, ids alone" else data,
            split,
            chosen,
            folder / name.replace(", ", "_").replace(" ", "_"),
        )
        for name, chosen in variants(quick).items()
        if order == RAW or name == "ours"
    }


def _take(found: dict, name: str, order: str, contender: Contender, split: Split) -> None:
    lists, cost = measured(f"{name}, {order}", contender, split)
    for protocol, values in figures(lists, split).items():
        found.setdefault(name, {}).setdefault(protocol, {})[order] = means(values) | cost
    told = " ".join(f"{metric} {value:.4f}" for metric, value in found[name]["masked"][order].items())
    print(f"{name}, masked, {order}: {told}", file=sys.stderr, flush=True)


def train(data: amazon.Dataset, split: Split, chosen: Recipe, folder: Path) -> Lists:
    """Lists of our model, trained in ``folder`` as a night trains it."""
    export, night, catalogue = exported(data, chosen, folder)
    return tops(ours.scores(export, night, catalogue, split), split)


def exported(data: amazon.Dataset, chosen: Recipe, folder: Path) -> tuple[Path, Night, ours.Catalogue]:
    """The export of our model, trained in ``folder`` as a night trains it, with the night and its catalogue."""
    ids = [f"i{item:06}" for item in range(len(data.texts))]
    catalogue = ours.Catalogue(ids, data.texts, [None] * len(ids), data.attributes)
    cut = float((DAY - date(1970, 1, 1)).days + 1 - HELD_OUT_DAYS)
    lake = folder / "lake"
    users = [f"u{user:06}" for user in range(len(data.items))]
    ours.write_lake(lake, DAY, users, data.dated(cut), catalogue)
    if chosen.pretraining:
        ours.write_texts(lake, DAY, catalogue)
    return ours.train(folder, lake, DAY, chosen), load(str(lake), DAY), catalogue
