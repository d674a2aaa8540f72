"""Buying again is learned first, by itself: it needs no catalogue, so a thousand steps of it cost as much as a hundred.

What an item's repeat scores is a function of a few counts (``training.repeats``). Learned beside everything else it
would see as few steps as everything else, and be pulled at by losses that are not about it. Learned before, it stays as
it is, but for how far above other items repeats stand: the rest of the model learns what remains to be said.
"""

import logging
import time
from dataclasses import replace

import numpy as np
import torch
import torch.distributed as dist
from deepspeed.accelerator import get_accelerator

from training.data import Night
from training.model import Recommender
from training.objective import Objective
from training.recipe import Recipe
from training.repeats import Repeats
from training.weeks import Weeks

log = logging.getLogger("training.rebuy")

SHARDS, USERS, QUERIES, TARGETS = 2, 8, 4, 64  # micro-batches of a step, and what is in one


def fit(objective: Objective, night: Night) -> None:
    """Let the repeats learn for the recipe's ``repeats_steps`` steps which of a user's items are bought in a week.

    A step's micro-batches are shared out among the ranks, which all end with the same weights.
    """
    recipe, repeats, began = objective.recipe, objective.recommender.users.repeats, time.perf_counter()
    asked = Weeks(night, _small(recipe))
    learning = list(repeats.parameters())
    optimizer = torch.optim.AdamW(learning, lr=recipe.repeats_lr, weight_decay=0.0)
    steps, total = recipe.repeats_steps, 0.0
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / 20, 1 - step / steps))
    rank, ranks = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    for step in range(steps):
        cost = sum(each.sum() * 0.0 for each in learning)  # a rank may have no micro-batch
        for shard in range(rank, SHARDS, ranks):
            rng = np.random.default_rng([recipe.seed, step, shard])
            cost = cost + loss(repeats, asked, objective.again_of, rng) / SHARDS
        optimizer.zero_grad()
        cost.backward()
        total += _shared(learning, cost.detach()) / steps
        optimizer.step()
        schedule.step()
    optimizer.zero_grad()
    took = time.perf_counter() - began
    log.info("repeats learned for %d steps by themselves, mean loss %.4f, in %.0f s", steps, total, took)


def _shared(learning: list[torch.nn.Parameter], cost: torch.Tensor) -> float:
    """Sum the gradients and the cost over the ranks; the cost."""
    if not dist.is_initialized():
        return cost.item()
    told = torch.cat([*(each.grad.flatten() for each in learning), cost.reshape(1)])
    summed = told.to(get_accelerator().current_device_name())  # NCCL sums nothing that lies elsewhere
    dist.all_reduce(summed)
    *gradients, cost = summed.to(told.device).split([*(each.numel() for each in learning), 1])
    for each, gradient in zip(learning, gradients, strict=True):
        each.grad.copy_(gradient.view_as(each))
    return cost.item()


def settle(model: Recommender) -> None:
    """From now on nothing of the repeats learns but their base."""
    model.users.repeats.requires_grad_(False)
    model.users.repeats.base.requires_grad_(True)


def loss(repeats: Repeats, asked: Weeks, again: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Mean over queries, of those who bought again, of the mean over what they did of -log softmax, in nats.

    The softmax is over the different items of each history.

    Args:
        asked: draws queries.
        again: float32[items, 1], how often each item is bought again.
    """
    rows = asked.rows(0, 0, rng)
    batch = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    items, place = np.unique(batch["history"], return_inverse=True)
    midnights, moment = np.unique(batch["midnight"], return_inverse=True)
    place, moment = place.reshape(batch["history"].shape), moment.reshape(batch["last"].shape)
    trend = torch.from_numpy(asked.trends.at(items, midnights))
    entries, ages = torch.from_numpy(batch["history"]), torch.from_numpy(batch["ages"])
    told = trend[torch.from_numpy(moment).unsqueeze(-1), torch.from_numpy(place).unsqueeze(1)]
    usual = again[entries.clamp(min=0)].unsqueeze(1).expand(*told.shape[:-1], 1)
    query_ages, last = torch.from_numpy(batch["query_ages"]), torch.from_numpy(batch["last"])
    real = last >= 0
    scores, known = repeats.judged(ages, entries, last.clamp(min=0), query_ages, torch.cat([told, usual], dim=-1))
    known = known & real.unsqueeze(-1)
    targets = torch.from_numpy(batch["targets"])
    bought = known & torch.stack([(entries.unsqueeze(1) == each.unsqueeze(-1)) for each in targets.unbind(-1)]).any(0)
    share = bought / bought.sum(-1, keepdim=True).clamp(min=1)
    scores = scores.masked_fill(~known, -1e9)
    costs = -((scores - scores.logsumexp(-1, keepdim=True)) * share).sum(-1)
    return costs.sum() / bought.any(-1).sum().clamp(min=1)


def _small(recipe: Recipe) -> Recipe:
    return replace(recipe, users=USERS, queries=QUERIES, targets=TARGETS, shown=1)
