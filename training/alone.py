"""A model in one process, without DeepSpeed and without an export: for simulations, which start and end many."""

from collections.abc import Callable

import numpy as np
import torch
import torch.distributed as dist

from training import backbone
from training.data import Night
from training.encodings import Encodings
from training.engine import optimizer_of, parameter_groups
from training.export import ItemProgram, UserProgram
from training.objective import Objective
from training.precision import product_type
from training.recipe import Recipe
from training.served import Items, Served
from training.start import build
from training.texts import TextTable
from training.trends import sales


def encoded(recipe: Recipe, night: Night) -> torch.Tensor:
    """float32[texts, E]: what the recipe's language model says of the night's texts; what it said before is kept."""
    folder = recipe.backbone_folder
    number = str(product_type("cpu", recipe.bfloat16)).removeprefix("torch.")
    kept = Encodings.of(f"{backbone.fingerprint(folder)[:16]}-{recipe.max_tokens}-{number}", night.texts)
    tokens = backbone.tokenise(backbone.load_tokenizer(folder, recipe.max_tokens), night.texts)
    encoder = backbone.load_backbone(folder)
    table = torch.zeros(len(night.texts), encoder.width)
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)  # ranks share the work: this is all
    try:
        TextTable(*tokens, bfloat16=recipe.bfloat16, kept=kept).encode(encoder, table)
    finally:
        dist.destroy_process_group()
    return table


def started(recipe: Recipe, night: Night, table: torch.Tensor) -> Objective:
    """The recipe's model before its first step, on the training part of the night.

    Args:
        table: as :func:`encoded` gives it.
    """
    objective = build(recipe, night, recipe.backbone_folder)
    objective.table.copy_(table)
    objective.centre_texts()
    return objective


def descend(objective: Objective, recipe: Recipe, losses: Callable[[int, int], torch.Tensor]) -> None:
    """All steps of the recipe.

    Args:
        losses: of a step's micro-batch, the first with its gradient.
    """
    groups = parameter_groups(objective, recipe, recipe.steps)
    optimizer, schedule = optimizer_of(groups, steps=recipe.steps, warmup=recipe.warmup)
    longest = recipe.deepspeed(1, recipe.shards, recipe.users)["gradient_clipping"]
    for step in range(recipe.steps):
        for shard in range(recipe.shards):
            (losses(step, shard)[0] / recipe.shards).backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), longest)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()


@torch.no_grad()
def tops(objective: Objective, recipe: Recipe, night: Night, users: np.ndarray, length: int) -> np.ndarray:
    """int64[users, length]: the lists of the model as it stands, by what was known at the night's cut."""
    model = objective.recommender.eval()
    program = ItemProgram(model.texts, model.items, model.heads, bfloat16=recipe.bfloat16)
    pull = model.items.pull.tolist() if recipe.counted else None
    items = Items.counted(program.of_night(objective.table, night), sales(night, night.cut), pull)
    found = Served(items, UserProgram(model.users, model.heads, {}), recipe.max_history).tops(night, users, length)
    model.train()
    return found
