"""A stage of training: steps around DeepSpeed's engine, checkpoints, and its MLflow run. Killed, it goes on."""

import argparse
import logging
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import date

import deepspeed
import numpy as np
import torch
import torch.distributed as dist
from deepspeed.accelerator import get_accelerator
from tqdm import tqdm

from training import tracking
from training.checkpoints import Checkpoints
from training.engine import give_memory_back, keep_memory
from training.plots import learning_curves
from training.recipe import Recipe
from training.recipes import recipe

log = logging.getLogger("training.run")

GIVEN_BACK = 20  # steps after which memory that nothing uses goes back: a heap of holes grows by 25 MB a step


class Run(ABC):
    """What pre-training and fine-tuning share.

    Args:
        start: makes the engine.
        checkpoints: where they go.
        steps: of the optimizer, in all.
        shards: micro-batches a step, shared out among the ranks.
        every: steps between two checkpoints.
        seed: of everything random in a step.
        identity: what a checkpoint must have been made with to be continued.
        tags: of the MLflow run.

    Raises:
        ValueError: if the checkpoints belong to something else.
    """

    stage: str
    losses: tuple[str, ...]  # what is logged of a micro-batch's loss, the whole first

    def __init__(
        self,
        start: Callable[[], deepspeed.DeepSpeedEngine],
        checkpoints: Checkpoints,
        identity: dict,
        tags: dict[str, str],
        *,
        steps: int,
        shards: int,
        every: int,
        seed: int,
    ):
        self.checkpoints, self.rank = checkpoints, dist.get_rank()
        self.steps, self.shards, self.every, self.seed = steps, shards, every, seed
        identity = {**identity, "ranks": dist.get_world_size()}
        checkpoints.check(identity)
        self.engine = start()
        self.step = 0
        self.curve: list[dict[str, float]] = []
        if checkpoints.latest():
            path, _ = self.engine.load_checkpoint(str(checkpoints.folder))
            self.step = checkpoints.latest()
            log.info("goes on from %s after %d steps", path, self.step)
        if self.rank == 0:
            self.client = tracking.connect()
            self.run_id = tracking.start(self.client, self.stage, checkpoints.card().get("run_id"), tags, identity)
            checkpoints.write_card(**identity, run_id=self.run_id)

    @abstractmethod
    def before(self, step: int) -> dict[str, float]:
        """Whatever a step needs done first, on all ranks; figures to log with it."""

    @abstractmethod
    def forward(self, step: int, shard: int) -> torch.Tensor:
        """The losses of one micro-batch: float32[losses], the first with its gradient."""

    def train(self) -> None:
        """All steps that are left.

        Raises:
            FloatingPointError: when the loss is no number; the last checkpoint stays as it is.
        """
        bar = tqdm(total=self.steps, initial=self.step, desc=self.stage, unit="step", disable=self.rank != 0)
        while self.step < self.steps:
            looked = self.before(self.step)
            began = time.perf_counter()
            figures = self._one_step()
            self.curve.append({**looked, **figures, "step_seconds": time.perf_counter() - began})
            self.step += 1
            bar.update()
            if self.step % GIVEN_BACK == 0:
                give_memory_back()
            bar.set_postfix(loss=f"{figures[self.losses[0]]:.4f}", refresh=False)
            if self.step % self.every == 0 or self.step == self.steps:
                self._checkpoint()
        bar.close()

    def _one_step(self) -> dict[str, float]:
        """This rank's micro-batches, and the optimizer's step after the last of them."""
        ranks, figures = dist.get_world_size(), torch.zeros(len(self.losses), device=self.engine.device)
        for shard in range(self.rank, self.shards, ranks):
            torch.manual_seed(hash((self.seed, self.step, shard)))  # dropout too is the same after a kill
            losses = self.forward(self.step, shard)
            told = losses.detach().cpu()
            if not told.isfinite().all():
                raise FloatingPointError(
                    self._stopped(f"the loss of step {self.step} is {told[0].item()} in micro-batch {shard}")
                )
            self.engine.backward(losses[0])
            self.engine.step()
            figures += told.to(figures.device)
        dist.all_reduce(figures)
        norm = float(self.engine.get_global_grad_norm() or 0.0)
        if not np.isfinite(norm):
            raise FloatingPointError(self._stopped(f"the gradient of step {self.step} is {norm}"))
        means = (figures / self.shards).tolist()
        names = (*self.losses, "gradient_norm", "learning_rate")
        return dict(zip(names, [*means, norm, max(self.engine.get_lr())], strict=True))

    def draw_curves(self) -> None:
        """Learning curves of all that was logged, once the stage is over; rank 0."""
        curves = {}
        for name in self.client.get_run(self.run_id).data.metrics:
            history = self.client.get_metric_history(self.run_id, name)
            curves[name] = sorted({each.step: each.value for each in history}.items())
        self.client.log_figure(self.run_id, learning_curves(curves), "curves.png")

    def _stopped(self, why: str) -> str:
        return (
            f"{why}; lower the recipe's learning rates. "
            f"The checkpoint after step {self.checkpoints.latest()} in {self.checkpoints.folder} is kept"
        )

    def _checkpoint(self) -> None:
        """Steps are logged when they are safe, so that none is logged twice after a kill."""
        if self.rank == 0:
            now, first = int(time.time() * 1000), self.step - len(self.curve)
            rows = [
                tracking.Metric(name, float(value), now, step)
                for step, figures in enumerate(self.curve, first)
                for name, value in figures.items()
            ]
            for low in range(0, len(rows), 1000):  # MLflow's limit for one call
                self.client.log_batch(self.run_id, metrics=rows[low : low + 1000])
        self.curve = []
        self.engine.save_checkpoint(str(self.checkpoints.folder), tag=f"step{self.step}")
        if self.rank == 0:
            self.checkpoints.prune()


def launched(stage: str, work: Callable[[Recipe, date, str, Checkpoints, date | None], None]) -> None:
    """What every rank of a stage does: read the command line, work, and end so that the launcher hears of a failure.

    Args:
        work: recipe, day, lake, where checkpoints go, and for a fold of cross-validation the night whose tables are
            read; not called for what is finished.
    """
    parser = argparse.ArgumentParser(prog=f"training.{stage}")
    parser.add_argument("--recipe", required=True, help="a name of training/recipes.py, or a JSON file")
    parser.add_argument("--day", required=True, type=date.fromisoformat)
    parser.add_argument("--lake", required=True, help="path or URI of the lake")
    parser.add_argument("--night", type=date.fromisoformat, help="train a fold: on this night's tables, up to the day")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    keep_memory()
    try:
        chosen = recipe(arguments.recipe)
        if chosen.threads:
            torch.set_num_threads(chosen.threads)
        # before the first collective: without it all ranks of a host would meet on its first GPU, which NCCL refuses
        get_accelerator().set_device(int(os.environ.get("LOCAL_RANK", "0")))
        deepspeed.init_distributed()
        checkpoints = Checkpoints.of(chosen.name, arguments.day, stage, arguments.night)
        if _finished(checkpoints):
            log.info("%s of %s is done already (%s)", stage, arguments.day, checkpoints.folder)
        else:
            work(chosen, arguments.day, arguments.lake, checkpoints, arguments.night)
        dist.barrier()
        dist.destroy_process_group()  # left to the interpreter's end, its threads can abort the process
    except (ValueError, ConnectionError, FloatingPointError) as error:
        sys.stderr.write(f"error: {error}\n")
        sys.stderr.flush()
        os._exit(1)  # the other ranks wait in a collective: leave at once, and the launcher ends them


def _finished(checkpoints: Checkpoints) -> bool:
    """Whether this stage is done and MLflow still has its run; the same answer on all ranks."""
    answer = [False]
    if dist.get_rank() == 0:
        client, card = tracking.connect(), checkpoints.card()
        answer = [bool(card.get("finished")) and tracking.has_run(client, card["run_id"])]
    dist.broadcast_object_list(answer)
    return answer[0]
