"""What continued pre-training on a shop's text does: to texts that it never saw, and to the lists."""

import tempfile
from dataclasses import replace
from pathlib import Path

from mlflow import MlflowClient

from benchmarks import Result
from benchmarks.accuracy import AMAZON, amazon, journey, leave_one_out, rolling
from benchmarks.accuracy.contenders import Contender, measured
from benchmarks.accuracy.protocol import figures, means
from training import tracking
from training.parts import Pretraining
from training.recipe import Recipe
from training.recipes import recipe

DATASETS = ("beauty", "journey")
STEPS, QUICK_STEPS = 300, 2
TEXT = ("held_out_perplexity", "held_out_pairs_right")
METRICS = ("recall@10", "ndcg@10")


def run(quick: bool, dataset: str) -> Result:
    """``quick`` hardly trains: it shows that both models run, nothing else."""
    steps = QUICK_STEPS if quick else STEPS
    plan = Pretraining(steps=steps, evaluate_every=max(steps // 6, 1))
    chosen = recipe("cpu" if dataset == "journey" else "sequences")
    if quick:
        few = {name: min(getattr(chosen, name), QUICK_STEPS) for name in ("steps", "epochs", "repeats_steps")}
        chosen = replace(chosen, **few)
    found, read = {}, {}
    with tempfile.TemporaryDirectory(prefix="pretraining-") as place:
        for name, mine in {"as it came": chosen, "pre-trained": replace(chosen, pretraining=plan)}.items():
            folder = Path(place) / name.replace(" ", "_")
            found[name] = (_journey if dataset == "journey" else _amazon)(dataset, mine, folder, quick)
            if mine.pretraining:
                read = _read(folder)
    rows = [["model, protocol", *METRICS, "seconds"]]
    for name, protocols in found.items():
        for protocol, values in protocols.items():
            told = (*(f"{values[metric]:.4f}" for metric in METRICS), f"{values['seconds']:.0f}")
            rows.append([f"{name}, {protocol}", *told])
    for name, curve in read.items():
        rows.append([f"{name}, before and after", f"{curve[0]:.4f}", f"{curve[-1]:.4f}", ""])
    return Result({}, {"models": found, "text": read}, rows)


def _amazon(dataset: str, chosen: Recipe, folder: Path, quick: bool) -> dict[str, dict]:
    data = amazon.load(AMAZON, dataset)
    data = data.first(leave_one_out.QUICK_USERS) if quick else data
    split = data.split()
    lists, cost = measured(str(folder.name), lambda each: leave_one_out.train(data, each, chosen, folder), split)
    return {protocol: means(values) | cost for protocol, values in figures(lists, split).items()}


def _journey(dataset: str, chosen: Recipe, folder: Path, quick: bool) -> dict[str, dict]:
    made, day = journey.prepare(), journey.LAST
    data = journey.load(made)
    split = data.week(day)
    mine: Contender = lambda each: rolling.train(data, made, day, folder, chosen, each)  # noqa: E731
    lists, cost = measured(str(folder.name), mine, split)
    return {protocol: means(values) | cost for protocol, (_, values) in rolling.protocols(lists, split).items()}


def _read(folder: Path) -> dict[str, list[float]]:
    """What held-out texts were worth, from before the first step on, by metric."""
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT).experiment_id
    (run,) = client.search_runs([experiment], "tags.stage = 'pretrain'")
    curves = {name: client.get_metric_history(run.info.run_id, name) for name in TEXT if name in run.data.metrics}
    return {name: [each.value for each in sorted(curve, key=lambda each: each.step)] for name, curve in curves.items()}
