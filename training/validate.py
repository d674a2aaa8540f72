"""Rolling-origin cross-validation: a recipe trained and judged on each of the last weeks of one night's tables.

Each fold is a week (HELD_OUT_DAYS). Its model knows what was bought, shown and written before that week; of what came
later training and judging see the catalogue alone (Hyndman and Athanasopoulos, Forecasting, section 5.10).
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta

import numpy as np
from mlflow import MlflowClient

from training import launcher, tracking
from training.checkpoints import Checkpoints
from training.data import load
from training.held_out import Figures, HeldOut, attributes
from training.judge import ahead, contenders
from training.recipe import HELD_OUT_DAYS, Recipe
from training.recipes import recipe
from training.served import Exported

log = logging.getLogger("training.validate")


@dataclass(frozen=True)
class Fold:
    """One week, judged.

    Args:
        day: the week's last.
        run_id: MLflow's, of the fine-tuning.
        versions: table name -> Delta version read.
        figures: of the candidate, popularity and top_frequency.
        ahead: 95 % paired intervals of the candidate's NDCG@10 less that of the two others.
    """

    day: date
    run_id: str
    versions: dict[str, int]
    figures: dict[str, Figures]
    ahead: dict[str, tuple[float, float]]


def validate(name: str, night: date, lake: str, count: int, ranks: int) -> Iterator[Fold]:
    """The ``count`` weeks up to ``night``, oldest first; each is trained when it is asked for, unless it was before.

    Killed, the same call goes on with the fold, and from the checkpoint, at which it was.

    Args:
        name: of a recipe, or a JSON file.
        night: whose tables are read; the lake needs no other night.
        ranks: that train.

    Raises:
        ValueError: fewer than two folds, a fold without purchases before or in its week, or one that was trained with
            another recipe or other data.
        ChildProcessError: training failed.
    """
    if count < 2:
        raise ValueError(f"folds is {count}; cross-validation needs 2 or more, one week is what `judge` looks at")
    chosen = recipe(name)
    for number in range(1, count + 1):
        day = night - timedelta(days=HELD_OUT_DAYS * (count - number))
        log.info("fold %s of %s: the %s days up to %s", number, count, HELD_OUT_DAYS, day)
        known = load(lake, day, night)
        held_out = HeldOut(known, attributes(lake, night, known.user_ids))
        checkpoints = Checkpoints.of(chosen.name, day, "finetune", night)
        if not checkpoints.card().get("finished"):
            _train(chosen, name, day, night, lake, ranks)
        # what was finished before may be another recipe's of the same name, or of a lake that was made anew
        checkpoints.check({**chosen.parameters(), "data": known.fingerprint()})
        served = Exported(checkpoints.model / "export").serve(known)
        tops = contenders(served, known, held_out.users)
        figures = {who: held_out.figures(lists) for who, lists in tops.items()}
        yield Fold(day, checkpoints.card()["run_id"], known.versions, figures, ahead(held_out, tops))


def _train(chosen: Recipe, name: str, day: date, night: date, lake: str, ranks: int) -> None:
    for stage in ("pretrain", "finetune") if chosen.pretraining else ("finetune",):
        launcher.run(f"training.{stage}", ranks, recipe=name, day=str(day), lake=lake, night=str(night))


def spread(folds: list[Fold]) -> dict[str, dict[str, dict[str, float]]]:
    """``mean`` and (sample) ``std`` over the folds -> contender -> metric, of the metrics that all folds have."""
    found: dict[str, dict[str, dict[str, float]]] = {"mean": {}, "std": {}}
    for who in folds[0].figures:
        means = [fold.figures[who].means for fold in folds]
        shared = [metric for metric in means[0] if all(metric in each for each in means)]
        values = np.array([[each[metric] for metric in shared] for each in means])
        for what, over in (("mean", values.mean(0)), ("std", values.std(0, ddof=1))):
            found[what][who] = dict(zip(shared, over.tolist(), strict=True))
    return found


def record(client: MlflowClient, name: str, night: date, lake: str, folds: list[Fold]) -> str:
    """Log all of it to a run that hangs under the night's; its id.

    Each fold's means are steps, from 1, of ``judge.<who>.<metric>``, as the judge calls them; over the folds they are
    ``mean.<who>.<metric>`` and ``std.<who>.<metric>``. ``validation.json`` has everything, with intervals and groups.
    """
    shown, over = recipe(name).name, spread(folds)
    tags = {"day": str(night), "recipe": shown, "lake": lake}
    tags |= {f"delta_version.{table}": str(version) for table, version in folds[-1].versions.items()}
    params = {"recipe": shown, "day": str(night), "folds": len(folds)}
    run_id = tracking.start(client, "validate", None, tags, params)
    for step, fold in enumerate(folds, 1):
        _log(client, run_id, "judge", {who: figures.means for who, figures in fold.figures.items()}, step)
    for what, means in over.items():
        _log(client, run_id, what, means, 0)
    told = [{**asdict(fold), "day": str(fold.day)} for fold in folds]
    client.log_dict(run_id, {"folds": told, **over}, "validation.json")
    client.set_terminated(run_id)
    return run_id


def _log(client: MlflowClient, run_id: str, what: str, means: dict[str, dict[str, float]], step: int) -> None:
    now = int(time.time() * 1000)
    rows = [
        tracking.Metric(f"{what}.{who}.{metric}", value, now, step)
        for who, each in means.items()
        for metric, value in each.items()
    ]
    client.log_batch(run_id, metrics=rows)
