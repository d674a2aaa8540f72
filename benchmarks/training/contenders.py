"""Who trains: bare PyTorch and DeepSpeed's engine under each ZeRO stage, each in processes of its own, step by step."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from statistics import median

from benchmarks.accuracy.ours import environment
from benchmarks.training.turns import Ring
from training import launcher
from training.recipe import Recipe
from training.recipes import recipe

BARE, ONE, TWO = "bare PyTorch, 1 core", "DeepSpeed, ZeRO 1, 1 rank", "DeepSpeed, ZeRO 1, 2 ranks"
TWO_ZERO2, TWO_ZERO3 = "DeepSpeed, ZeRO 2, 2 ranks", "DeepSpeed, ZeRO 3, 2 ranks"
GPU_BARE, GPU = "bare PyTorch, GPU", "DeepSpeed, GPU"

# dense bfloat16 of the data sheets, the chips with the widest memory bus (SXM); others by NIGHT_PEAK_TFLOPS
PEAK_TFLOPS = {"H200": 989.0, "H100": 989.0, "A100": 312.0}
PEAK_VARIABLE = "NIGHT_PEAK_TFLOPS"


@dataclass(frozen=True)
class Contender:
    """A recipe, on how many ranks; ``bare`` is PyTorch alone, on one."""

    recipe: Recipe
    ranks: int = 1
    bare: bool = False

    @property
    def gpu(self) -> bool:
        return self.recipe.hardware.startswith("gpu")


@dataclass(frozen=True)
class Steps:
    """How many each contender takes: those that don't count (two or more), and those that do."""

    warmup: int
    counted: int


def on_cpu(chosen: Recipe) -> dict[str, Contender]:
    """The contenders of a recipe for CPUs."""
    return {
        BARE: Contender(chosen, bare=True),
        ONE: Contender(chosen),
        TWO: Contender(chosen, ranks=2),
    }


def sharded(chosen: Recipe) -> dict[str, Contender]:
    """The same recipe with more of it sharded."""
    return {
        TWO_ZERO2: Contender(replace(chosen, hardware="cpu_zero2"), ranks=2),
        TWO_ZERO3: Contender(replace(chosen, hardware="cpu_zero3"), ranks=2),
    }


def on_gpu() -> dict[str, Contender]:
    """The contenders of the recipe for one GPU."""
    return {GPU_BARE: Contender(recipe("gpu"), bare=True), GPU: Contender(recipe("gpu"))}


def take_turns(
    contenders: dict[str, Contender], lake: Path, day: date, steps: Steps, place: Path
) -> dict[str, dict[str, float]]:
    """Figures by contender; all of them run at once, and take their steps in turns.

    Returns:
        step_s: wall seconds of a step, as the slowest rank takes it; the median of ``steps_s``, which are all of them.
        cpu_s: CPU seconds of a rank, likewise; as many where nobody wanted the core and no rank waited for another.
        examples_per_s, queries_per_s: users of micro-batches, and queries about them, of all ranks together.
        loss, gradient_norm: means of the measured steps; contenders that do the same have the same.
        peak_mb: the most memory that a rank's process had in these few steps, grown_mb: what of that came after its
            data were loaded. creep_mb: how much more it had after each step.
        weights_mb, gradients_mb, states_mb: a rank's tensors just before the optimizer's step; buckets, which count as
            gradients, with all that they reserve, used or not.
        flops: floating-point operations of a step, all ranks together. gpu_peak_mb: allocated on the GPU at most.

    Raises:
        RuntimeError: a contender failed; its last lines are in the message.
    """
    folders = {name: place / name.replace(" ", "_").replace(",", "") for name in contenders}
    for folder in folders.values():
        folder.mkdir()
    ring, running = Ring(list(folders.values())), {}
    try:
        for number, (name, contender) in enumerate(contenders.items()):
            running[name] = _start(contender, lake, day, steps, folders[name], ring.after(number))
        ring.begin()
        while _unfinished(running, folders):
            time.sleep(0.2)
    finally:
        for process in running.values():
            if process.poll() is None:  # else the others would wait for their turn for ever
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        ring.close()
    return {name: _figures(contender, folders[name]) for name, contender in contenders.items()}


def _start(
    contender: Contender, lake: Path, day: date, steps: Steps, folder: Path, following: Path
) -> subprocess.Popen:
    """Its worker, or the launcher of its ranks, as the leader of a group of processes."""
    # what is learned before the first step isn't measured
    chosen = replace(contender.recipe, repeats_steps=min(contender.recipe.repeats_steps, 1))
    (folder / "recipe.json").write_text(json.dumps(chosen.parameters()))
    module = "benchmarks.training.worker"
    command = [sys.executable, "-m", module] if contender.bare else launcher.command(contender.ranks, module)
    command += ["--recipe", str(folder / "recipe.json"), "--lake", str(lake)]
    command += ["--day", day.isoformat(), "--warmup", str(steps.warmup), "--steps", str(steps.counted)]
    command += ["--folder", str(folder), "--following", str(following), *(["--bare"] if contender.bare else [])]
    env = environment(folder, gpu=contender.gpu)
    with open(folder / "worker.log", "w") as log:
        return subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)


def _unfinished(running: dict[str, subprocess.Popen], folders: dict[str, Path]) -> bool:
    """Whether any runs still; none has failed."""
    codes = {name: process.poll() for name, process in running.items()}
    for name, code in codes.items():
        if code:
            raise RuntimeError(f"{name} failed:\n{(folders[name] / 'worker.log').read_text()[-2000:]}")
    return None in codes.values()


def _figures(contender: Contender, folder: Path) -> dict[str, float]:
    """Of what each rank left in the folder."""
    ranks = [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(contender.ranks)]
    walls = [max(each) for each in zip(*(rank["wall_s"] for rank in ranks), strict=True)]
    step = median(walls)
    figures = {
        "step_s": step,
        "steps_s": walls,
        "cpu_s": median(second for rank in ranks for second in rank["cpu_s"]),
        "examples_per_s": contender.recipe.users * contender.recipe.shards / step,
        "queries_per_s": ranks[0]["queries"] / step,
        **{name: ranks[0][name] for name in ("loss", "gradient_norm")},
        "peak_mb": max(rank["peak"] for rank in ranks) / 1e6,
        "grown_mb": max(rank["peak"] - rank["resident"] for rank in ranks) / 1e6,
        "creep_mb": max(rank["creep"] for rank in ranks) / 1e6,
        **{f"{what}_mb": max(rank["held"][what] for rank in ranks) / 1e6 for what in ranks[0]["held"]},
        "flops": sum(rank["flops"] for rank in ranks),
    }
    if contender.gpu:
        figures["gpu_peak_mb"] = max(rank["gpu_peak"] for rank in ranks) / 1e6
    return figures


def utilisation(flops: float, seconds: float, device: str) -> float | None:
    """The share of the device's peak; None where nobody says what that is.

    Args:
        flops: floating-point operations done in ``seconds``.
        device: its name. NIGHT_PEAK_TFLOPS in the environment goes before PEAK_TFLOPS.
    """
    known = [peak for name, peak in PEAK_TFLOPS.items() if name in device]
    peak = float(os.environ.get(PEAK_VARIABLE) or (known[0] if known else 0))
    return flops / seconds / (peak * 1e12) if peak else None
