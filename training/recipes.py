"""Recipes by name, one per hardware shape, and those of a shop's own."""

import json
from dataclasses import replace
from pathlib import Path

from training.parts import Privacy
from training.recipe import Recipe


def cpu() -> Recipe:
    """Two ranks of one core each: a night's first model in minutes.

    The language model stays as it is: in so few steps on so few texts, tuned layers made no list better.
    """
    return Recipe(name="cpu", hardware="cpu", tuned_layers=0, threads=1, steps=100)


def cpu_warm() -> Recipe:
    """As ``cpu``, but every night goes on from the champion; the first, which has none, is a night of ``cpu``."""
    return replace(cpu(), name="cpu_warm", warm=True)


def cpu_uncounted() -> Recipe:
    """As ``cpu``, but of users it knows only what gradients tell: for training that mustn't see them all at once.

    Small, as little can be learned then; without a word from the data it starts from counts of the user's own.
    """
    return replace(
        cpu(),
        name="cpu_uncounted",
        counted=False,
        repeats_steps=0,
        dim=33,
        text_dim=32,
        id_dim=1,
        width=16,
        heads=2,
        layers=1,
        repeats=16,
        negatives=1024,
        explore=0.0,
        steps=50,
        warmup=5,
        lr=3e-3,
        base_lr=1e-2,
    )


def cpu_private() -> Recipe:
    """As ``cpu_uncounted``, with differential privacy for each user."""
    return replace(cpu_uncounted(), name="cpu_private", private=Privacy(clip=0.5))


def sequences() -> Recipe:
    """As ``cpu``, for shops whose customers take one thing after another."""
    return replace(
        cpu(),
        name="sequences",
        predict="next",
        later=0.3,
        max_history=50,
        context=50,
        dim=257,
        text_dim=256,
        id_dim=256,
        width=256,
        heads=2,
        layers=1,
        dropout=0.5,
        repeats=0,
        repeats_steps=0,
        users=128,
        negatives=0,
        focus=0,
        explore=0.0,
        id_dropout=0.0,
        epochs=5,
        lr=1e-3,
        id_lr=1e-3,
        base_lr=1e-2,
    )


def gpu() -> Recipe:
    """One GPU: the whole backbone learns, and more of each step's texts do."""
    return Recipe(
        name="gpu",
        hardware="gpu",
        tuned_layers=6,
        shards=1,
        users=128,
        negatives=16384,
        live_texts=512,
        steps=2000,
        warmup=100,
        refresh_every=500,
    )


def gpu8() -> Recipe:
    """One host with one, two, four or eight GPUs."""
    return replace(gpu(), name="gpu8", hardware="gpu8", shards=8, live_texts=128, users=64)


def multihost() -> Recipe:
    """Several hosts of a hostfile, up to sixteen GPUs; the checkpoint folder must be one they share."""
    return replace(gpu8(), name="multihost", hardware="multihost", shards=16, users=32)


RECIPES = {
    function.__name__: function
    for function in (cpu, cpu_warm, cpu_uncounted, cpu_private, sequences, gpu, gpu8, multihost)
}


def recipe(name: str) -> Recipe:
    """The recipe of that name, or of a JSON file with the fields that are to differ from :class:`Recipe`'s.

    Raises:
        ValueError: if there is none; the message lists those there are.
    """
    if name.endswith(".json"):
        return _of_file(Path(name))
    if name not in RECIPES:
        raise ValueError(f"no recipe is called {name!r}; there are: {', '.join(RECIPES)}, or a JSON file of your own")
    return RECIPES[name]()


def _of_file(path: Path) -> Recipe:
    try:
        return Recipe.of(json.loads(path.read_text()))
    except (OSError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} holds no recipe (the fields of training.recipes.Recipe as JSON): {error}") from error
