"""The judge: candidate, champion and baselines on the same held-out days, every item ranked, nothing sampled.

Only exports are read, so a champion of any age or architecture is judged as scoring would serve it.
"""

import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Metric, Run

from training import tracking
from training.answers import Answers
from training.baselines import most_popular, top_frequency
from training.card import facts, model_card
from training.data import Night
from training.export import FORMAT
from training.held_out import GATE, GROUP_METRICS, Figures, HeldOut, attributes
from training.metrics import CUTOFFS, intervals
from training.plots import by_group, reliability_plot
from training.recipe import Recipe
from training.served import Exported, Served

log = logging.getLogger("training.judge")

TOP = max(CUTOFFS)


@dataclass(frozen=True)
class Decision:
    """What the judge found, and what it did.

    Args:
        figures: of the candidate, the champion (where there is another), popularity and top_frequency.
        ahead: 95 % paired intervals of the candidate's NDCG@10 less that of each other contender.
    """

    promoted: bool
    reason: str
    candidate_version: str
    champion_version: str | None
    figures: dict[str, Figures]
    ahead: dict[str, tuple[float, float]]


def decide(figures: dict[str, Figures]) -> tuple[bool, str]:
    """Whether the candidate is to be champion: better than popularity, and than the champion where there is one."""
    reached, least = figures["candidate"].means[GATE], figures["popularity"].means[GATE]
    if not reached > least:
        return False, f"NDCG@10 {reached:.4f} is not above popularity's {least:.4f}"
    beaten = ""
    if "champion" in figures:
        reign = figures["champion"].means[GATE]
        if not reached > reign:
            return False, f"NDCG@10 {reached:.4f} is not above the champion's {reign:.4f}"
        beaten = f"the champion's {reign:.4f} and "
    return True, f"NDCG@10 {reached:.4f} is above {beaten}popularity's {least:.4f}"


def judge(client: MlflowClient, recipe: Recipe, night: Night, lake: str) -> Decision:
    """Judge the run of this recipe and night, move the alias if it is better, and log the decision to its run.

    Raises:
        ValueError: there is no finished run, or nobody bought in the held-out days.
    """
    run = tracking.trained_run(client, recipe.name, night.day)
    if run is None:
        raise ValueError(
            f"MLflow has no finished run of recipe {recipe.name} for {night.day}; run training.finetune first"
        )
    held_out = HeldOut(night, attributes(lake, night.day, night.user_ids))
    users = held_out.users
    version, champion = tracking.register(client, run.info.run_id), tracking.champion(client)
    reigning = str(champion.version) if champion else None  # a server says versions as text, a database as numbers
    challenged = champion is not None and reigning != str(version.version)
    reign = exported(champion.run_id) if challenged else None
    if reign and reign.manifest["format"] != FORMAT:
        log.warning(
            "champion %s has an export of format %s, which scoring reads no longer", reigning, reign.manifest["format"]
        )
        reign = None
    candidate = exported(run.info.run_id)
    served = candidate.serve(night)
    tops = contenders(served, night, users)
    if reign:
        tops["champion"] = reign.serve(night).tops(night, users, TOP)
    figures = {name: held_out.figures(lists) for name, lists in tops.items()}
    if champion and not challenged:
        promoted, reason = False, "it is the champion already"
    elif reign and reign.manifest["trained_before"] > night.cut:
        promoted, reason = False, "the champion was trained on the held-out days, so the two can't be compared"
    else:
        promoted, reason = decide(figures)
    decision = Decision(
        promoted,
        reason,
        str(version.version),
        reigning,
        figures,
        ahead(held_out, tops),
    )
    answers = Answers.of(served, candidate.manifest, night)
    card = model_card(recipe.parameters(), facts(night), decision, answers, candidate.manifest.get("privacy"))
    record(client, run, decision, answers, card)
    if promoted:
        client.set_registered_model_alias(tracking.MODEL, tracking.CHAMPION, version.version)
    return decision


def contenders(candidate: Served, night: Night, users: np.ndarray) -> dict[str, np.ndarray]:
    """int64[users, 20] lists of the candidate, popularity and top_frequency, by what was known at the cut."""
    return {"candidate": candidate.tops(night, users, TOP), **baselines(night, users)}


def baselines(night: Night, users: np.ndarray) -> dict[str, np.ndarray]:
    """Likewise those of popularity and top_frequency alone."""
    return {"popularity": most_popular(night, users, TOP), "top_frequency": top_frequency(night, users, TOP)}


def ahead(held_out: HeldOut, tops: dict[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """95 % paired intervals of the candidate's NDCG@10 less that of each other contender."""
    values = {name: held_out.values(lists)[GATE] for name, lists in tops.items()}
    others = [name for name in values if name != "candidate"]
    lower, upper = intervals(np.stack([values["candidate"] - values[name] for name in others], axis=1))
    return {name: (float(low), float(high)) for name, low, high in zip(others, lower, upper, strict=True)}


def exported(run_id: str) -> Exported:
    """The export of that run, from MLflow."""
    return Exported(Path(download_artifacts(run_id=run_id, artifact_path="export")))


def record(client: MlflowClient, run: Run, decision: Decision, answers: Answers, card: str) -> None:
    """Of the candidate's run: means as metrics, the decision as tags, the model card. Of the judge's own, which hangs
    under the same night: these, everything as JSON, and the plots by group and of reliability.
    """
    tags = {name: run.data.tags[name] for name in ("day", "recipe", "lake") if name in run.data.tags}
    verdict = {"promoted": str(decision.promoted).lower(), "decision": decision.reason}
    own = tracking.start(client, "judge", None, {**tags, **verdict, "judged": run.info.run_id}, {})
    now = int(time.time() * 1000)
    for run_id in (run.info.run_id, own):
        for name, figures in decision.figures.items():
            rows = [Metric(f"judge.{name}.{metric}", mean, now, 0) for metric, mean in figures.means.items()]
            client.log_batch(run_id, metrics=rows)
        told = [Metric(f"judge.candidate.{name}", value, now, 0) for name, value in answers.metrics().items()]
        client.log_batch(run_id, metrics=told)
        client.log_text(run_id, card, "card.md")
    for name, value in verdict.items():
        client.set_tag(run.info.run_id, name, value)
    client.log_dict(own, {**asdict(decision), "answers": asdict(answers)}, "decision.json")
    if answers.reliability:
        client.log_figure(own, reliability_plot(answers.reliability), "reliability.png")
    for metric in GROUP_METRICS:
        if all(metric in figures.intervals for figures in decision.figures.values()):
            client.log_figure(own, by_group(decision.figures, metric), f"{metric}.png")
    client.set_terminated(own)
