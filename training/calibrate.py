"""The correction of the heads' probabilities, by the exposures of users that no head learned from."""

import logging

import numpy as np
import torch

from training.calibration import Platt, fitted
from training.data import Night
from training.export import ItemProgram, UserProgram
from training.exposures import left_out
from training.heads import LOGITS
from training.model import Recommender
from training.recipe import HELD_OUT_DAYS, Recipe
from training.served import Items, Served
from training.trends import sales

log = logging.getLogger("training.calibrate")

LEAST = 20  # rows of the rarer answer: a correction by fewer would be noise


def corrections(
    model: Recommender, recipe: Recipe, night: Night, table: torch.Tensor, tasks: tuple[str, ...]
) -> dict[str, Platt]:
    """Platt's correction of each head that has a probability, by name; none where too few rows tell of it.

    It rests on the last HELD_OUT_DAYS days of the training part, by what the model says of them at their beginning, as
    the lists of a night speak of the days to come.

    Args:
        night: its training part.
        table: float32[texts, E], encodings of the night's texts.
        tasks: what was trained.
    """
    start = night.cut - HELD_OUT_DAYS
    shown = night.exposures
    shown = shown.where((shown.days >= start) & left_out(night.user_ids)[shown.users])
    wanted = [name for name in LOGITS if name in tasks]
    if not wanted or not len(shown):
        return {}
    model = model.eval()
    with torch.no_grad():
        items = ItemProgram(model.texts, model.items, model.heads, bfloat16=recipe.bfloat16)
        counted = Items.counted(items.of_night(table, night), sales(night, start), model.items.pull.tolist())
        served = Served(counted, UserProgram(model.users, model.heads, {}), recipe.max_history)
        answers = served.answers(night, shown, start)
    found: dict[str, Platt] = {}
    for name, happened in zip(LOGITS, (shown.clicked, shown.bought), strict=True):
        rows = ~np.isnan(happened)
        if name == "purchase" and "click" in wanted:  # p(purchase | click) is told by what was clicked
            rows &= shown.clicked == 1
        fewer = min(happened[rows].sum(), (1 - happened[rows]).sum()) if rows.any() else 0
        if name in wanted and fewer >= LEAST:
            found[name] = fitted(name, answers[name][rows], happened[rows], shown.weights[rows])
        elif name in wanted:
            log.warning("%s is not corrected: %d exposures of the rarer answer, it takes %d", name, fewer, LEAST)
    return found
