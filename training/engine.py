"""DeepSpeed around the model: its optimizer, its schedule, and what this process must be told first."""

import ctypes

import deepspeed
import torch
import torch.distributed as dist

from training.loss import Objective
from training.model import Recommender
from training.recipes import Recipe

# DeepSpeed would compile its shared-memory reduction at the first start on a CPU. Only inference uses it, it takes most
# of a minute, and a start that is killed meanwhile leaves a lock on which every later start waits for ever.
deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False

# of glibc's malloc.h: M_MMAP_MAX none, M_TRIM_THRESHOLD endless, M_ARENA_MAX one
MALLOC = {-4: 0, -1: -1, -8: 1}


def keep_memory() -> None:
    """Let glibc keep what is freed: large tensors come and go every step, and fresh pages are a fifth of its time."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    for option, value in MALLOC.items() if mallopt else ():
        mallopt(option, value)


def parameter_groups(model: Recommender, recipe: Recipe) -> list[dict]:
    """Learning parameters in four groups, each with its own rate."""
    users = model.users
    gains = [users.log_decay, users.log_power, users.copy, users.repeats.counted, users.repeats.base]
    own = list(model.items.own.parameters()) + list(model.items.own_bias.parameters())
    backbone = [parameter for parameter in model.texts.parameters() if parameter.requires_grad]
    taken = {id(parameter) for parameter in [*own, *gains, *model.texts.parameters()]}
    above = [parameter for parameter in model.parameters() if id(parameter) not in taken]
    groups = ((backbone, recipe.backbone_lr), (above, recipe.lr), (own, recipe.id_lr), (gains, recipe.gain_lr))
    return [{"params": params, "lr": rate} for params, rate in groups if params]


def start_engine(objective: Objective, recipe: Recipe, steps: int) -> deepspeed.DeepSpeedEngine:
    """DeepSpeed's engine, with rates that rise over the recipe's ``warmup`` and then fall to 0 at ``steps``."""
    optimizer = torch.optim.AdamW(parameter_groups(objective.recommender, recipe), weight_decay=0.0)

    def rate(step: int) -> float:
        return min((step + 1) / recipe.warmup, (steps - step) / max(steps - recipe.warmup, 1))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    engine, *_ = deepspeed.initialize(
        model=objective,
        optimizer=optimizer,
        lr_scheduler=schedule,
        config=recipe.deepspeed(dist.get_world_size()),
        dist_init_required=False,
    )
    return engine
