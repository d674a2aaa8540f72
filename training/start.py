"""What a model is before its first step: the backbone's, the champion's, and what is counted of the night."""

import numpy as np
import torch

from training import backbone, rebuy
from training.champion import COUNTED, OWN, Champion
from training.data import Night
from training.model import Recommender
from training.objective import Objective
from training.private import PrivateObjective
from training.recipe import Recipe
from training.warm_start import item_biases, item_vectors, turned, usual_spend
from training.weeks import since

QUERY_START = 10.0  # relevance of a text to itself, before anything is learned


def build(
    recipe: Recipe, night: Night, folder: str, champion: Champion | None = None, *, resumed: bool = False
) -> Objective:
    """The model before its first step, the same on every rank; the language model from its folder.

    With a champion all that was learned is the champion's, and what is counted is the night's.

    Args:
        resumed: whether a checkpoint will replace all that could be learned here.

    Raises:
        ValueError: if the folder isn't a backbone's.
    """
    torch.manual_seed(recipe.seed)
    recommender = untrained(recipe, night, folder)
    with torch.no_grad():
        remember(recommender, recipe, night, since(night, recipe), champion.vectors(night) if champion else None)
        _choose(recommender, recipe)
        if champion:
            champion.adopt(recommender, night, COUNTED if recipe.id_lr else COUNTED + OWN)
        elif recipe.counted:
            _start_heads(recommender, night)
    backbone.tune(
        recommender.texts.backbone, recipe.tuned_layers, lora_rank=recipe.lora_rank, recompute=recipe.recompute
    )
    objective = (PrivateObjective if recipe.private else Objective)(recommender, night, recipe)
    if recipe.repeats_steps:
        if not champion and not resumed:
            rebuy.fit(objective, night)
        rebuy.settle(recommender)
    return objective


def _choose(model: Recommender, recipe: Recipe) -> None:
    """What of the model above the texts doesn't learn."""
    items = model.items
    for own in (items.own, items.own_bias):
        own.requires_grad_(recipe.id_lr > 0)
    if not recipe.counted:
        model.heads.requires_grad_(False)
        items.pull.requires_grad_(False)
    if recipe.private:  # a row for each tag of a catalogue: noise on all of them would say more than they do
        items.tags.requires_grad_(False)


def _start_heads(model: Recommender, night: Night) -> None:
    """Heads that know how often what was shown is clicked and bought, and queries that read as items' texts do."""
    shown, heads = night.exposures, model.heads
    for place, answers in enumerate((shown.clicked, shown.bought)):
        told = ~np.isnan(answers)
        if told.any() and 0 < answers[told].mean() < 1:
            rate = float(np.average(answers[told], weights=shown.weights[told]))
            usual = float(item_biases(night, night.cut)[shown.items[shown.items < night.known]].mean())
            heads.offset[place] = np.log(rate / (1 - rate)) - float(heads.gain[place]) * usual
    project = model.items.project.weight
    heads.query.weight[: len(project)] = project * (QUERY_START / float(project.square().sum(0).mean()))


@torch.no_grad()
def remember(
    model: Recommender,
    recipe: Recipe,
    night: Night,
    until: float,
    like: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    learned: bool = False,
) -> None:
    """Give the items what was counted of them by the midnight ``until``: vectors, popularity, what purchases bring.

    Where queries have a date, popularity is that of the date, and comes with them. A recipe that counts nothing leaves
    items without a vector of their own.

    Args:
        like: int64[n] positions of items, and float32[n, id_dim] vectors that the model learned to read, to which all
            are turned; None are those of all items as of before the first query.
        learned: whether the items' own vectors and biases have been learned since they were counted, and stay.
    """
    items, first = model.items, since(night, recipe)
    if not recipe.counted:
        items.own.weight.zero_()
        return
    if not learned:
        vectors = item_vectors(night, recipe.id_dim, recipe.seed, until)
        if like:
            places, read = like
            vectors = turned(vectors, read, places)
        elif until > first:
            vectors = turned(vectors, item_vectors(night, recipe.id_dim, recipe.seed, first))
        items.own.weight[1:] = torch.from_numpy(vectors)
        if recipe.predict != "week":
            items.own_bias.weight[1:, 0] = torch.from_numpy(item_biases(night, until))
    model.heads.usual.weight[:, 0] = torch.from_numpy(usual_spend(night, until))


def untrained(recipe: Recipe, night: Night, folder: str) -> Recommender:
    """A recommender of the recipe's shape for the night's items."""
    return Recommender(backbone.load_backbone(folder), night.known, len(night.tag_names), recipe)
