"""One rank of a contender: the product's own fine-tuning for some steps, under a stopwatch; what it found as JSON.

Started by the launcher, or with --bare by plain Python; MLflow hears nothing of it, and it leaves no checkpoint.
"""

import argparse
import json
import os
import time
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from unittest import mock

import deepspeed
import torch
import torch.distributed as dist
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.flop_counter import FlopCounterMode

import training.run
from benchmarks.training import bare, memory
from benchmarks.training.turns import Baton
from training.checkpoints import Checkpoints
from training.engine import keep_memory
from training.finetune import Finetune
from training.recipe import Recipe
from training.recipes import recipe


class Measured(Finetune):
    """Fine-tuning a step at a time.

    Args:
        folder: for the checkpoints that it never makes.
        alone: PyTorch alone in place of DeepSpeed's engine.
    """

    def __init__(self, chosen: Recipe, day: date, lake: str, folder: Path, *, alone: bool):
        engine = mock.patch.object(deepspeed, "initialize", bare.initialize) if alone else nullcontext()
        with engine, mock.patch.object(training.run, "tracking"):
            super().__init__(chosen, day, lake, Checkpoints(folder), night=None)

    def _start(self) -> deepspeed.DeepSpeedEngine:
        self.resident = memory.settle()
        return super()._start()

    def measure(self, warmup: int, steps: int, baton: Baton | None) -> dict:
        """Seconds of every step after the first ``warmup``, this process's CPU seconds in them, and memory in bytes.

        ``creep`` is what each of these steps left resident, on average. Loss and gradient norm are their means, and
        tell whether contenders do the same.

        Args:
            baton: the first rank's, whose turn is that of all.
        """
        seconds, told, looked = {"wall_s": [], "cpu_s": []}, [], {}
        for self.step in range(warmup + steps):
            self.before(self.step)
            with baton.turn() if baton else nullcontext():
                dist.barrier()
                if self.step < len(LOOKS):
                    looked |= LOOKS[self.step](self)
                    continue
                if self.step == warmup:
                    warm = memory.resident()
                began = time.perf_counter(), time.process_time()
                figures = self._step()
                taken = time.perf_counter() - began[0], time.process_time() - began[1]
            if self.step >= warmup:
                told.append(figures)
                for name, each in zip(seconds, taken, strict=True):
                    seconds[name].append(each)
        return {
            **seconds,
            **{name: sum(figures[name] for figures in told) / steps for name in ("loss", "gradient_norm")},
            "resident": self.resident,
            "peak": memory.peak(),
            "creep": (memory.resident() - warm) / steps,
            **looked,
        }

    def queries(self, warmup: int, steps: int) -> float:
        """Of a step, all ranks' together: the mean of the measured steps."""
        drawn = (
            self.batches.draw(step, shard) for step in range(warmup, warmup + steps) for shard in range(self.shards)
        )
        return sum(int((batch["last"] >= 0).sum()) for batch in drawn) / steps

    def _step(self) -> dict[str, float]:
        figures = self._one_step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return figures

    def _operations(self) -> dict:
        """Floating-point operations of this rank in a step: what PyTorch counts of matrix products and attention.

        A multiplication and the addition after it are two. What is done element by element, the optimizer's part among
        it, doesn't count.
        """
        with FlopCounterMode(display=False) as counter:
            self._step()
        return {"flops": counter.get_total_flops()}

    def _tensors(self) -> dict:
        """Bytes of tensors by what they are for, in a step before which the optimizer has its states already."""
        held = memory.Held(self.engine.module)
        hook = register_optimizer_step_pre_hook(held)
        self._step()
        hook.remove()
        return {"held": held.bytes}


LOOKS = (Measured._operations, Measured._tensors)  # in the first steps, which none times


def pin(rank: int) -> None:
    """All threads of this process to one core, each rank to its own."""
    cores = sorted(os.sched_getaffinity(0))
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), {cores[rank % len(cores)]})


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.training.worker", description=__doc__)
    parser.add_argument("--recipe", required=True, help="a name of training/recipes.py, or a JSON file")
    parser.add_argument("--day", required=True, type=date.fromisoformat)
    parser.add_argument("--lake", required=True)
    parser.add_argument("--warmup", required=True, type=int, help="steps that don't count")
    parser.add_argument("--steps", required=True, type=int, help="steps that count")
    parser.add_argument("--folder", required=True, type=Path, help="for rankN.json, with the pipe of its turns")
    parser.add_argument("--following", required=True, type=Path, help="the pipe of whoever comes next")
    parser.add_argument("--bare", action="store_true", help="PyTorch alone, on one rank")
    given = parser.parse_args()
    keep_memory()
    chosen, gpu = recipe(given.recipe), torch.cuda.is_available()
    if not gpu:
        pin(int(os.environ.get("LOCAL_RANK", 0)))
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    if given.bare:
        backend = "cpu:gloo,cuda:nccl" if gpu else "gloo"
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    else:
        deepspeed.init_distributed()
    baton = Baton(given.folder / "baton", given.following) if dist.get_rank() == 0 else None
    run = Measured(chosen, given.day, given.lake, given.folder / "checkpoints", alone=given.bare)
    queries = run.queries(given.warmup, given.steps)
    found = run.measure(given.warmup, given.steps, baton) | {"queries": queries}
    if gpu:
        found["gpu_peak"] = torch.cuda.max_memory_allocated()
    (given.folder / f"rank{run.rank}.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
