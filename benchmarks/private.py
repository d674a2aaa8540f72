"""What privacy costs: differential privacy at several epsilons, and simulated federated rounds, beside neither.

The Complete Journey's last week, judged as a night's model is. All models are those of a recipe that counts nothing
over users; each is trained in this process, for as many steps. What is measured is kept until the code changes, so that
a run that was killed goes on.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import torch

from benchmarks import Result
from benchmarks.accuracy import journey, ours
from training import alone
from training.batches import batches
from training.data import Night, load
from training.federated import Federation
from training.held_out import HeldOut
from training.judge import TOP, baselines
from training.objective import Objective
from training.parts import Privacy
from training.public import public
from training.recipe import Recipe
from training.recipes import recipe
from training.secret import KEY_BYTES, Secret

EPSILONS = (8.0, 3.0, 1.0)
SHARDS, LOCAL_STEPS = 8, 5
QUICK_STEPS = 2
PLACE = journey.PROJECT / "var/benchmarks/private"
METRICS = ("ndcg_at_10", "recall_at_10")
KEY = bytes(KEY_BYTES)  # whoever runs it finds the same figures; these households' purchases are public


def run(quick: bool) -> Result:
    """``quick`` takes a few users a step and hardly any step: it shows that all run, nothing else."""
    os.environ["NIGHT_CHECKPOINTS"] = str(PLACE)  # where encodings of texts are kept
    torch.set_num_threads(recipe("cpu_private").threads)
    bench = _Bench(_night(), quick)
    found = {name: {"lists": lists} for name, lists in baselines(bench.night, bench.held_out.users).items()}
    found = {name: bench.judged(each["lists"]) for name, each in found.items()}
    for name, (chosen, train) in bench.contenders().items():
        found[name] = _kept(name, chosen, quick, train)
        print(f"{name}: {json.dumps(found[name])}", file=sys.stderr, flush=True)
    return Result({}, found, _table(found))


def _night() -> Night:
    """The last night, as a shop's lake has it."""
    lake = PLACE / "lake"
    if not (lake / "made").exists():
        data = journey.load(journey.prepare())
        ours.write_lake(lake, journey.LAST, data.users, data.upto(journey.LAST), data.catalogue)
        (lake / "made").touch()
    return public(load(str(lake), journey.LAST))


def _kept(name: str, chosen: Recipe, quick: bool, train: Callable[[], dict]) -> dict:
    """What was measured before with the same code and recipe, or is now."""
    digest = hashlib.sha256(json.dumps([name, chosen.parameters(), torch.__version__]).encode())
    for file in [Path(__file__), *sorted((journey.PROJECT / "training").glob("*.py"))]:
        digest.update(file.read_bytes())
    told = PLACE / f"{digest.hexdigest()[:16]}.json"
    if quick or not told.exists():
        measured = train()
        if quick:
            return measured
        told.write_text(json.dumps(measured))
    return json.loads(told.read_text())


class _Bench:
    """One night, and the models that are trained on it."""

    def __init__(self, night: Night, quick: bool):
        self.night, self.seen, self.held_out = night, night.training(), HeldOut(night)
        less = {"steps": QUICK_STEPS, "warmup": 1, "users": 2} if quick else {}
        self.plain, self.private = (replace(recipe(name), **less) for name in ("cpu_uncounted", "cpu_private"))
        self.table = alone.encoded(self.plain, night)

    def contenders(self) -> dict[str, tuple[Recipe, Callable[[], dict]]]:
        """By name: the recipe, and what trains and judges it."""
        plan = self.private.private
        plans = {
            "users one by one": Privacy(inf, plan.delta, inf),
            "and clipped": replace(plan, epsilon=inf),
            **{f"epsilon {epsilon:g}": replace(plan, epsilon=epsilon) for epsilon in EPSILONS},
        }
        private = {name: replace(self.private, private=each) for name, each in plans.items()}
        # all clients together ask as many users a step as the others do
        client = replace(self.plain, users=max(self.plain.users * self.plain.shards // SHARDS, 1))
        return {
            "untrained": (self.plain, lambda: self.judged(self._lists(self._started(self.plain), self.plain))),
            "central": (self.plain, lambda: self._central(self.plain)),
            **{name: (each, lambda each=each: self._private(each)) for name, each in private.items()},
            f"federated, {SHARDS} shards": (client, lambda: self._federated(client)),
        }

    def judged(self, lists: np.ndarray) -> dict:
        means = self.held_out.figures(lists).means
        return {metric: means[metric] for metric in METRICS}

    def _started(self, chosen: Recipe) -> Objective:
        return alone.started(chosen, self.seen, self.table)

    def _lists(self, objective: Objective, chosen: Recipe) -> np.ndarray:
        return alone.tops(objective, chosen, self.night, self.held_out.users, TOP)

    def _central(self, chosen: Recipe) -> dict:
        objective, weeks, began = self._started(chosen), batches(self.seen, chosen), time.perf_counter()
        alone.descend(objective, chosen, lambda step, shard: objective(_tensors(weeks.draw(step, shard))))
        return self.judged(self._lists(objective, chosen)) | {"seconds": time.perf_counter() - began}

    def _private(self, chosen: Recipe) -> dict:
        objective, began = self._started(chosen), time.perf_counter()
        weeks = batches(self.seen, chosen, secret=Secret(KEY))
        alone.descend(
            objective,
            chosen,
            lambda step, shard: objective(map(_tensors, weeks.users(step, shard)), weeks.noise(step, shard)),
        )
        took = {"seconds": time.perf_counter() - began}
        return self.judged(self._lists(objective, chosen)) | weeks.guarantee.told() | took

    def _federated(self, chosen: Recipe) -> dict:
        objective, began = self._started(chosen), time.perf_counter()
        steps = min(LOCAL_STEPS, chosen.steps)
        federation = Federation(
            objective, self.seen, chosen, count=SHARDS, rounds=chosen.steps // steps, local_steps=steps
        )
        rounds = list(federation.run())
        return self.judged(self._lists(objective, chosen)) | {
            "seconds": time.perf_counter() - began,
            "rounds": len(rounds),
            "bytes_a_client_and_round": rounds[0].sent,
            "masking_seconds_a_round": float(np.mean([each.masking_seconds for each in rounds])),
        }


def _tensors(batch: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(each) for name, each in batch.items()}


def _table(found: dict) -> list[list[str]]:
    rows = [["model", *(metric.replace("_at_", "@") for metric in METRICS), "noise", "seconds"]]
    for name, told in found.items():
        noise = f"{told['noise_multiplier']:.3f}" if "noise_multiplier" in told else "-"
        seconds = f"{told['seconds']:.0f}" if "seconds" in told else "-"
        rows.append([name, *(f"{told[metric]:.4f}" for metric in METRICS), noise, seconds])
    return rows
