"""DeepSpeed's engine without DeepSpeed."""

import torch
from torch import nn


class Bare:
    """What fine-tuning asks of DeepSpeed's engine, in PyTorch alone and on one rank.

    The recipes' DeepSpeed JSON turns on neither bfloat16 nor float16: weights, gradients and states are float32 there
    as here, and what multiplies in bfloat16 does so because the objective says it. What the engine has beyond this is
    ZeRO's partitions with their copy of the weights, its hooks and its buckets.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, schedule: object, config: dict):
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.module, self.optimizer, self.schedule = model.to(self.device), optimizer, schedule
        self.micro_batches, self.clipping = config["gradient_accumulation_steps"], config["gradient_clipping"]
        self.learning = [each for group in optimizer.param_groups for each in group["params"]]
        self.taken, self.norm = 0, 0.0

    def __call__(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.module(batch)

    def backward(self, loss: torch.Tensor) -> None:
        (loss / self.micro_batches).backward()

    def step(self) -> None:
        """After the last micro-batch, the optimizer's step."""
        self.taken += 1
        if self.taken % self.micro_batches == 0:
            self.norm = nn.utils.clip_grad_norm_(self.learning, self.clipping)
            self.optimizer.step()
            self.schedule.step()
            self.optimizer.zero_grad()

    def get_global_grad_norm(self) -> float:
        return float(self.norm)

    def get_lr(self) -> list[float]:
        return self.schedule.get_last_lr()


def initialize(*, model, optimizer, lr_scheduler, config, **_: object) -> tuple[Bare]:
    """In place of ``deepspeed.initialize``."""
    return (Bare(model, optimizer, lr_scheduler, config),)
