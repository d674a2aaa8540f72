"""DeepSpeed around the model: its optimizer, its schedule, and what this process must be told first."""

import ctypes
from functools import partial

import deepspeed
import torch
from torch import nn

from training.objective import Objective
from training.recipe import Recipe

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


def give_memory_back() -> None:
    """Hand what is free inside the heap back to the system; it takes a tenth of a second."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


def parameter_groups(objective: Objective, recipe: Recipe, steps: int) -> list[dict]:
    """Learning parameters in six groups, each with its own rate and length.

    Args:
        steps: of the whole training.
    """
    model = objective.recommender
    users, heads = model.users, model.heads
    repeats = users.repeats
    gains = [users.log_decay, users.log_power, users.copy, users.voice, repeats.counted, repeats.alike]
    gains += [heads.gain, heads.offset, heads.log_deviation, model.items.pull, *objective.balance.parameters()]
    own = list(model.items.own.parameters()) + list(model.items.own_bias.parameters())
    backbone = [parameter for parameter in model.texts.parameters() if parameter.requires_grad]
    taken = {id(parameter) for parameter in [*own, *gains, repeats.base, *model.texts.parameters()]}
    headed = [parameter for parameter in heads.parameters() if id(parameter) not in taken]
    taken |= {id(parameter) for parameter in headed}
    above = [parameter for parameter in model.parameters() if id(parameter) not in taken]
    groups = (
        (backbone, recipe.backbone_lr, recipe.settled(steps)),
        (above, recipe.lr, steps),
        (own, recipe.id_lr, steps),
        (headed, recipe.head_lr, steps),
        (gains, recipe.gain_lr, steps),
        ([repeats.base], recipe.base_lr, steps),
    )
    learning = (([each for each in params if each.requires_grad], *others) for params, *others in groups)
    return [{"params": params, "lr": rate, "steps": end} for params, rate, end in learning if params]


def optimizer_of(
    groups: list[dict], *, steps: int, warmup: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW, and its rates, which rise over ``warmup`` steps and then fall to 0; arguments as of ``start_engine``."""
    ends = [group.get("steps", steps) for group in groups]
    optimizer = torch.optim.AdamW([{k: group[k] for k in ("params", "lr")} for group in groups], weight_decay=0.0)

    def rate(step: int, end: int) -> float:
        return max(min((step + 1) / warmup, (end - step) / max(end - warmup, 1)), 0.0)

    rates = [lambda step, end=end: rate(step, end) for end in ends]
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, rates)


def start_engine(
    model: nn.Module, groups: list[dict], config: dict, *, steps: int, warmup: int
) -> deepspeed.DeepSpeedEngine:
    """DeepSpeed's engine around AdamW, with rates that rise over ``warmup`` steps and then fall to 0.

    Args:
        groups: parameters with their rates, as torch's optimizers take them, and the "steps" after which these are 0,
            where that is not at the end.
        config: DeepSpeed's.
        steps: of the whole training.
    """
    optimizer, schedule = optimizer_of(groups, steps=steps, warmup=warmup)
    engine, *_ = deepspeed.initialize(
        model=model, optimizer=optimizer, lr_scheduler=schedule, config=config, dist_init_required=False
    )
    if not config["zero_optimization"]["stage"]:
        engine.clip_fp32_gradients = partial(_clip, engine)
    return engine


def _clip(engine: deepspeed.DeepSpeedEngine) -> None:
    """Where nothing is sharded DeepSpeed clips as well, but forgets the norm."""
    engine._global_grad_norm = nn.utils.clip_grad_norm_(engine.module.parameters(), engine.gradient_clipping())
