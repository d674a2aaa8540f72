"""How fast fine-tuning is and what it takes: DeepSpeed on 1 and 2 ranks, ZeRO 1, 2 and 3, and bare PyTorch beside it.

Each rank has one core, each contender processes of its own; they take turns, a step each. All run the product's own
loop with the same recipe, micro-batches, objective and AdamW. Bare PyTorch has loss.backward(), clipping and
optimizer.step() where DeepSpeed has its engine. An example is a user of a micro-batch. What comes between steps, texts
encoded anew and checkpoints, is left out. Four processes of 2 to 3 GB run at once.
"""

import tempfile
from pathlib import Path

from benchmarks import Goal, Result

DEEPSPEED = 0.9  # of bare PyTorch's examples a second
SCALING = 1.6  # of two ranks, of one's

TAKES = ("gpu",)

COLUMNS = {
    "examples/s": ("examples_per_s", "{:.1f}"),
    "queries/s": ("queries_per_s", "{:.0f}"),
    "step s": ("step_s", "{:.2f}"),
    "CPU s": ("cpu_s", "{:.2f}"),
    "loss": ("loss", "{:.4f}"),
    "peak MB": ("peak_mb", "{:.0f}"),
    "grown MB": ("grown_mb", "{:.0f}"),
    "MB/step": ("creep_mb", "{:.1f}"),
    "weights": ("weights_mb", "{:.1f}"),
    "gradients": ("gradients_mb", "{:.1f}"),
    "states": ("states_mb", "{:.1f}"),
    "GPU MB": ("gpu_peak_mb", "{:.0f}"),
    "MFU": ("mfu", "{:.1%}"),
}


def run(quick: bool, gpu: bool = False) -> Result:
    """``quick`` takes few users and steps: it shows that it runs. ``gpu`` leaves out what trains on the CPU.

    Raises:
        ValueError: ``gpu`` is asked for where there is none.
    """
    import torch  # takes seconds that the list of benchmarks needn't wait

    from benchmarks.training import contenders, shop
    from training.recipes import recipe

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    if gpu and not device:
        raise ValueError("--gpu: PyTorch sees no CUDA GPU here")
    size = shop.Size(200, 2000, 400) if quick else shop.Size(2000, 20_000, 2000)
    steps = contenders.Steps(2, 2) if quick else contenders.Steps(3, 16)
    with tempfile.TemporaryDirectory(prefix="training-") as folder:
        place = Path(folder)
        lake = place / "lake"
        shop.write(lake, size)
        groups = [] if gpu else [contenders.on_cpu(recipe("cpu")), contenders.sharded(recipe("cpu"))]
        groups += [contenders.on_gpu()] if device else []
        found = {}
        for group in groups:
            found |= contenders.take_turns(group, lake, shop.DAY, steps, place)
    for name in contenders.on_gpu() if device else ():
        found[name]["mfu"] = contenders.utilisation(found[name]["flops"], found[name]["step_s"], device)
    figures = {"gpu": device, "users": size.users, "items": size.items, "contenders": found}
    return Result(goals(found), figures, table(found, device))


def goals(found: dict[str, dict[str, float]]) -> dict[str, Goal]:
    """Of the figures by contender; there are none for a GPU."""
    from benchmarks.training.contenders import BARE, ONE, TWO

    if BARE not in found:
        return {}
    bare, one, two = (found[name]["examples_per_s"] for name in (BARE, ONE, TWO))
    return {
        "DeepSpeed on one rank, share of bare PyTorch's examples/s": Goal(DEEPSPEED, round(one / bare, 3), least=True),
        "two ranks, times one's examples/s": Goal(SCALING, round(two / one, 3), least=True),
    }


def table(found: dict[str, dict[str, float]], gpu: str | None) -> list[list[str]]:
    """A row a contender; memory is the rank's that has most."""
    rows = [["", *COLUMNS]]
    for name, figures in found.items():
        told = (figures.get(key) for key, _ in COLUMNS.values())
        shapes = (shape for _, shape in COLUMNS.values())
        cells = ["-" if figure is None else shape.format(figure) for figure, shape in zip(told, shapes, strict=True)]
        rows.append([name, *cells])
    if gpu is None:
        rows.append(["GPU: none here, left out", *("-" for _ in COLUMNS)])
    return rows
