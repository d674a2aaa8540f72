"""What reviews say of items: the language model fine-tuned on the stars that stand beside them, under the launcher:

    python -m training sentiment --recipe cpu --day 2017-12-31 --lake var/lake

Killed, the same command goes on; finished, it does nothing.
"""

import json
import logging
import shutil
from datetime import date
from pathlib import Path

import deepspeed
import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F

from schemas.catalogue import SENTIMENTS
from training import backbone, tracking
from training.calibration import reliability
from training.checkpoints import Checkpoints
from training.consolidate import consolidate, restore
from training.engine import start_engine
from training.export import BATCH, write_program
from training.finetune import language_model
from training.opinion import FORMAT, Opinion, Reader
from training.precision import mixed, product_type
from training.recipe import Recipe
from training.reviews import TABLE, Reviews, load_reviews
from training.run import Run, launched
from training.verdict import macro_f1, settled
from training.words import Words

log = logging.getLogger("training.sentiment")

LOOKED_AT = 1000  # reviews, at most, that calibrate and that are held out: the language model reads them on one rank
BLOCK = 64  # of these at a time


class Sentiment(Run):
    """A training of the sentiment model."""

    stage = "sentiment"
    losses = ("loss", "right")

    def __init__(self, recipe: Recipe, day: date, lake: str, checkpoints: Checkpoints):
        self.recipe, self.plan = recipe, recipe.sentiment
        self.parts = load_reviews(lake, day)
        self.folder = language_model(recipe, day, None)
        self.tokenizer = backbone.load_tokenizer(self.folder, self.plan.max_tokens)
        self.tokens = backbone.tokenise(self.tokenizer, self.parts.learned.texts)
        counts = np.bincount(self.parts.learned.classes, minlength=len(SENTIMENTS))
        self.shares = counts.sum() / (len(SENTIMENTS) * counts)
        identity = {
            **recipe.parameters(),
            "data": self.parts.fingerprint(),
            "backbone_weights": backbone.fingerprint(self.folder),
        }
        tags = {"day": str(day), "recipe": recipe.name, "lake": lake, f"delta_version.{TABLE}": str(self.parts.version)}
        super().__init__(
            self._start,
            checkpoints,
            identity,
            tags,
            steps=self.plan.steps,
            shards=self.plan.shards,
            every=self.plan.checkpoint_every,
            seed=recipe.seed,
        )

    def _reader(self) -> Reader:
        torch.manual_seed(self.recipe.seed)
        return Reader(backbone.load_backbone(self.folder))

    def _start(self) -> deepspeed.DeepSpeedEngine:
        reader = self._reader()
        backbone.tune(reader.texts.backbone, self.plan.tuned_layers, recompute=self.recipe.recompute)
        learning = [each for each in reader.texts.parameters() if each.requires_grad]
        groups = [{"params": list(reader.head.parameters()), "lr": self.plan.head_lr}]
        groups += [{"params": learning, "lr": self.plan.lr}] if learning else []
        config = self.recipe.deepspeed(dist.get_world_size(), self.plan.shards, self.plan.texts)
        objective = Objective(reader, self.shares, bfloat16=self.recipe.bfloat16)
        return start_engine(objective, groups, config, steps=self.plan.steps, warmup=self.plan.warmup)

    def before(self, step: int) -> dict[str, float]:
        return {}

    def forward(self, step: int, shard: int) -> torch.Tensor:
        chosen = self.draw(step, shard)
        ids, mask = (each[chosen] for each in self.tokens)
        width = int(mask.sum(1).max())
        arrays = (ids[:, :width], mask[:, :width], self.parts.learned.classes[chosen])
        return self.engine(*(torch.from_numpy(each).to(self.engine.device) for each in arrays))

    def draw(self, step: int, shard: int) -> np.ndarray:
        """Places of a micro-batch's reviews: a shuffled pass after the other, those of a step sorted by length."""
        count, size = len(self.parts.learned.texts), self.plan.texts * self.plan.shards
        places = np.arange(step * size, (step + 1) * size)
        orders = {each: np.random.default_rng((self.seed, each)).permutation(count) for each in set(places // count)}
        chosen = np.array([orders[place // count][place % count] for place in places])
        chosen = chosen[np.argsort(self.tokens[1][chosen].sum(1), kind="stable")]
        return chosen[shard * self.plan.texts : (shard + 1) * self.plan.texts]

    def finish(self) -> None:
        """Fit the words, calibrate, measure on the held-out reviews, export and register."""
        folder = self.checkpoints.model
        folder.mkdir(exist_ok=True)
        consolidate(self.engine.module.reader, folder / "model.safetensors")
        del self.engine
        if self.rank != 0:
            return
        reader = self._reader()
        restore(reader, folder / "model.safetensors")
        reader.eval().requires_grad_(False)
        words = Words(self.tokenizer.get_vocab_size(), len(SENTIMENTS))
        words.fit(*self.tokens, self.parts.learned.classes)
        kept, held_out = (part.sample(LOOKED_AT) for part in (self.parts.kept, self.parts.held_out))
        opinion = Opinion(words, reader, bfloat16=self.recipe.bfloat16)
        opinion.settle(settled(*self._logits(opinion, kept), kept.classes))
        figures = self._figures(opinion, held_out)
        for name, value in figures.items():
            self.client.log_metric(self.run_id, name, value)
        write(opinion, self.tokenizer, self.recipe, folder / "export")
        self.draw_curves()
        self.client.log_artifacts(self.run_id, str(folder))
        version = tracking.register(self.client, self.run_id, tracking.SENTIMENT).version
        told = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        log.info("run %s is version %s of %s: %s", self.run_id, version, tracking.SENTIMENT, told)
        self._promote(version, figures)
        self.client.set_terminated(self.run_id)
        self.checkpoints.write_card(finished=True)

    @torch.no_grad()
    def _logits(self, opinion: Opinion, reviews: Reviews) -> tuple[np.ndarray, np.ndarray]:
        """float32[N, classes] twice: of the words, and of the language model."""
        found: list[tuple[torch.Tensor, torch.Tensor]] = []
        order = np.argsort([len(text) for text in reviews.texts], kind="stable")
        for low in range(0, len(order), BLOCK):
            texts = [reviews.texts[place] for place in order[low : low + BLOCK]]
            found.append(opinion.logits(*map(torch.from_numpy, backbone.tokenise(self.tokenizer, texts))))
        back = np.argsort(order)
        words, read = (torch.cat(each).numpy()[back] for each in zip(*found, strict=True))
        return words, read

    def _figures(self, opinion: Opinion, reviews: Reviews) -> dict[str, float]:
        """On the held-out reviews, beside the class that most of what was learned from has."""
        words, read = self._logits(opinion, reviews)
        verdict, truth, count = opinion.verdict, reviews.classes, len(SENTIMENTS)
        sure, told = np.exp(verdict.log_probabilities(words, read)), verdict.classes(words, read)
        most = np.full(len(truth), np.bincount(self.parts.learned.classes).argmax())
        right = (sure.argmax(1) == truth).astype(float)
        return {
            "held_out_accuracy": float((told == truth).mean()),
            "held_out_macro_f1": macro_f1(truth, told, count),
            "held_out_accuracy_likeliest": float(right.mean()),
            "held_out_ece": reliability(sure.max(1), right, np.ones(len(truth))).ece,
            "held_out_macro_f1_words": macro_f1(truth, words.argmax(1), count),
            "held_out_macro_f1_read": macro_f1(truth, read.argmax(1), count),
            "held_out_accuracy_largest_class": float((most == truth).mean()),
            "held_out_macro_f1_largest_class": macro_f1(truth, most, count),
        }

    def _promote(self, version: str, figures: dict[str, float]) -> None:
        """The alias goes to a version that tells more of the held-out reviews than their most frequent class does."""
        ours, theirs = (figures[name] for name in ("held_out_macro_f1", "held_out_macro_f1_largest_class"))
        if ours > theirs:
            self.client.set_registered_model_alias(tracking.SENTIMENT, tracking.CHAMPION, version)
        else:
            log.warning(
                "version %s does not become champion: macro-F1 %.4f, the largest class %.4f", version, ours, theirs
            )


class Objective(nn.Module):
    """float32[2]: cross entropy in which all classes weigh the same (nats), and the share whose likeliest is right."""

    def __init__(self, reader: Reader, shares: np.ndarray, *, bfloat16: bool):
        super().__init__()
        self.reader, self.bfloat16 = reader, bfloat16
        self.register_buffer("shares", torch.from_numpy(shares.astype(np.float32)))

    def forward(self, token_ids: torch.Tensor, attention_mask: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        with mixed(token_ids.device.type, self.bfloat16):
            logits = self.reader(token_ids, attention_mask).float()
        lost = F.cross_entropy(logits, classes, reduction="none") * self.shares[classes]
        return torch.stack([lost.mean(), (logits.detach().argmax(1) == classes).float().mean()])


def write(opinion: Opinion, tokenizer, recipe: Recipe, folder: Path) -> None:
    """The export: manifest.json, tokenizer.json and opinion.pt2, read back.

    Raises:
        ValueError: if what was read back doesn't say what the model says.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    plan = recipe.sentiment
    bfloat16 = product_type("cpu", recipe.bfloat16) == torch.bfloat16
    manifest = {"format": FORMAT, "classes": SENTIMENTS, "max_tokens": plan.max_tokens, "bfloat16": bfloat16}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))
    tokenizer.save(str(folder / "tokenizer.json"))
    inputs = tuple(map(torch.from_numpy, backbone.tokenise(tokenizer, ["fine and good", "bad, very bad", "so so"])))
    shapes = {0: BATCH, 1: torch.export.Dim("T", min=2, max=plan.max_tokens)}
    write_program(opinion.eval(), inputs, (shapes, shapes), folder / "opinion.pt2")


def sentiment(recipe: Recipe, day: date, lake: str, checkpoints: Checkpoints, night: date | None) -> None:
    """The whole stage.

    Raises:
        ValueError: for a fold; it has none.
    """
    if night:
        raise ValueError("--night: sentiment is not cross-validated; it holds out the newest reviews itself")
    run = Sentiment(recipe, day, lake, checkpoints)
    run.train()
    run.finish()


if __name__ == "__main__":
    launched("sentiment", sentiment)
