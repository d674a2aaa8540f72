"""The judge: candidate, champion and popularity on the same held-out days, every item ranked, nothing sampled.

Only exports are read, so a champion of any age or architecture is judged as scoring would serve it.
"""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from tokenizers import Tokenizer

from training import tracking
from training.data import Night
from training.recipes import Recipe
from training.warm_start import popularity

log = logging.getLogger("training.judge")

TOP = 10
BLOCK = 256  # users ranked at a time
TEXT_BLOCK = 4096  # items encoded at a time; sorted by text, equal texts meet in one block


@dataclass(frozen=True)
class Figures:
    """Means over users. NDCG with binary gains, the ideal list holding min(k, bought) hits; Recall over all bought."""

    ndcg_at_10: float
    recall_at_10: float
    users: int


@dataclass(frozen=True)
class Decision:
    """What the judge found, and what it did."""

    promoted: bool
    reason: str
    candidate_version: str
    champion_version: str | None
    candidate: Figures
    champion: Figures | None
    popularity: Figures


def measure(tops: np.ndarray, bought: list[np.ndarray], top: int = TOP) -> Figures:
    """NDCG@k (Järvelin and Kekäläinen 2002, binary gains) and Recall@k.

    Args:
        tops: int64[users, at least ``top``] item positions, best first.
        bought: for each user the distinct items of the held-out days, at least one; repeat purchases count.
        top: k.
    """
    discounts = 1 / np.log2(np.arange(2, top + 2))
    ideal = np.cumsum(discounts)
    gains = recalls = 0.0
    for row, items in zip(tops[:, :top], bought, strict=True):
        hits = np.isin(row, items)
        gains += float(hits @ discounts[: len(row)]) / ideal[min(len(items), top) - 1]
        recalls += hits.sum() / len(items)
    return Figures(gains / len(bought), recalls / len(bought), len(bought))


def held_out(night: Night) -> tuple[np.ndarray, list[np.ndarray]]:
    """Users who bought in the held-out days, and the distinct items each of them bought.

    Raises:
        ValueError: if nobody did.
    """
    later = night.histories.between(night.cut, night.end)
    users = np.flatnonzero(np.diff(later.offsets))
    if not len(users):
        raise ValueError(
            f"behaviour.histories: nobody bought in the held-out days before {night.day}; nothing to judge"
        )
    return users, [np.unique(later.of(user)[0]) for user in users]


def best(scores: np.ndarray) -> np.ndarray:
    """The TOP best columns of each row, best first; of equal scores the first column."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :TOP]


class Exported:
    """An export, loaded as scoring loads it: torch and tokenizers, no code of ours."""

    def __init__(self, folder: Path):
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.known = {
            item: place for place, item in enumerate(json.loads((folder / "items.json").read_text()), start=1)
        }
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.item_encoder, self.user_encoder = (
            torch.export.load(folder / f"{name}_encoder.pt2").module() for name in ("item", "user")
        )

    @torch.no_grad()
    def item_vectors(self, night: Night) -> torch.Tensor:
        """float32[items, D] of the whole catalogue."""
        vectors = torch.zeros(len(night.item_ids), self.manifest["dim"])
        index = np.array([self.known.get(item, 0) for item in night.item_ids])
        lengths = np.array([len(text) for text in night.texts])
        order = np.lexsort((night.text_of, lengths[night.text_of]))
        for low in range(0, len(order), TEXT_BLOCK):
            block = order[low : low + TEXT_BLOCK]
            encodings = self.tokenizer.encode_batch([night.texts[text] for text in night.text_of[block]])
            ids = torch.tensor([encoding.ids for encoding in encodings])
            mask = torch.tensor([encoding.attention_mask for encoding in encodings])
            vectors[block] = self.item_encoder(ids, mask, torch.from_numpy(index[block]))[0]
        return vectors

    @torch.no_grad()
    def tops(self, night: Night, users: np.ndarray) -> np.ndarray:
        """int64[users, TOP]: each user's best items by what was known at the cut."""
        items = self.item_vectors(night)
        seen = night.histories.between(-np.inf, night.cut)
        length = self.manifest["max_history"]
        tops = []
        for low in range(0, len(users), BLOCK):
            block = users[low : low + BLOCK]
            history = np.full((len(block), length), -1, np.int64)
            ages = np.zeros((len(block), length), np.float32)
            for row, user in enumerate(block):
                latest, times = (array[-length:] for array in seen.of(user))
                if len(latest):
                    history[row, -len(latest) :], ages[row, -len(latest) :] = latest, night.cut - times
            mask = torch.from_numpy(history >= 0)
            vectors = items[torch.from_numpy(history).clamp(min=0)] * mask.unsqueeze(-1)
            found = self.user_encoder(vectors, torch.from_numpy(ages), mask)[0]
            tops.append((found @ items.T).topk(TOP, dim=1).indices.numpy())
        return np.concatenate(tops)


def decide(candidate: Figures, champion: Figures | None, popular: Figures) -> tuple[bool, str]:
    """Whether the candidate is to be champion: better than popularity, and than the champion where there is one."""
    if not candidate.ndcg_at_10 > popular.ndcg_at_10:
        return False, f"NDCG@10 {candidate.ndcg_at_10:.4f} is not above popularity's {popular.ndcg_at_10:.4f}"
    if champion and not candidate.ndcg_at_10 > champion.ndcg_at_10:
        return False, f"NDCG@10 {candidate.ndcg_at_10:.4f} is not above the champion's {champion.ndcg_at_10:.4f}"
    beaten = f"the champion's {champion.ndcg_at_10:.4f} and " if champion else ""
    return True, f"NDCG@10 {candidate.ndcg_at_10:.4f} is above {beaten}popularity's {popular.ndcg_at_10:.4f}"


def judge(client: MlflowClient, recipe: Recipe, night: Night) -> Decision:
    """Judge the run of this recipe and night, move the alias if it is better, and log the decision to its run.

    Raises:
        ValueError: there is no finished run, or nobody bought in the held-out days.
    """
    run = tracking.trained_run(client, recipe.name, night.day)
    if run is None:
        raise ValueError(
            f"MLflow has no finished run of recipe {recipe.name} for {night.day}; run training.finetune first"
        )
    users, bought = held_out(night)
    version, champion = tracking.register(client, run.info.run_id), tracking.champion(client)
    popular = measure(np.repeat(best(popularity(night)[None]), len(users), axis=0), bought)
    candidate = measure(exported(run.info.run_id).tops(night, users), bought)
    rival = None
    if champion and str(champion.version) == str(version.version):
        promoted, reason = False, "it is the champion already"
    else:
        reign = exported(champion.run_id) if champion else None
        rival = measure(reign.tops(night, users), bought) if reign else None
        promoted, reason = decide(candidate, rival, popular)
        if reign and reign.manifest["trained_before"] > night.cut:
            promoted, reason = False, "the champion was trained on the held-out days, so the two can't be compared"
    # a server says versions as text, a database as numbers
    reigning = str(champion.version) if champion else None
    decision = Decision(promoted, reason, str(version.version), reigning, candidate, rival, popular)
    record(client, run.info.run_id, decision)
    if promoted:
        client.set_registered_model_alias(tracking.MODEL, tracking.CHAMPION, version.version)
    return decision


def exported(run_id: str) -> Exported:
    """The export of that run, from MLflow."""
    return Exported(Path(download_artifacts(run_id=run_id, artifact_path="export")))


def record(client: MlflowClient, run_id: str, decision: Decision) -> None:
    """Metrics, tags and the whole decision as JSON, on the candidate's run."""
    for name in ("candidate", "champion", "popularity"):
        figures = getattr(decision, name)
        if figures:
            client.log_metric(run_id, f"judge.{name}.ndcg_at_10", figures.ndcg_at_10)
            client.log_metric(run_id, f"judge.{name}.recall_at_10", figures.recall_at_10)
    client.set_tag(run_id, "promoted", str(decision.promoted).lower())
    client.set_tag(run_id, "decision", decision.reason)
    client.log_dict(run_id, asdict(decision), "decision.json")
