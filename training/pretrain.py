"""The language model goes on reading: the shop's own text, before fine-tuning, as the `deepspeed` launcher starts it:

    DS_ACCELERATOR=cpu deepspeed --num_accelerators 2 --no_local_rank --module training.pretrain \
        --recipe cpu --day 2017-12-31 --lake var/lake

Masked tokens (a decoder: the next token), text pairs, and what a teacher says, where the recipe names one. Killed, it
goes on. Without pre-training in the recipe it is over at once.
"""

import logging
from datetime import date

import deepspeed
import numpy as np
import torch
import torch.distributed as dist
from torch.nn import functional as F

from training import backbone, tracking
from training.checkpoints import Checkpoints
from training.consolidate import consolidate
from training.corpus import TABLE, Corpus, load_corpus
from training.distil import teach
from training.engine import start_engine
from training.language import NO_LABEL, TextObjective, Texts
from training.recipe import Recipe
from training.run import Run, launched

log = logging.getLogger("training.pretrain")

LOOKS = 16  # micro-batches of held-out texts, at most


class Pretrain(Run):
    """A night's pre-training."""

    stage = "pretrain"
    losses = ("loss", "token_loss", "pair_loss", "pairs_right")

    def __init__(self, recipe: Recipe, day: date, lake: str, checkpoints: Checkpoints, night: date | None):
        self.recipe, self.plan, self.folder = recipe, recipe.pretraining, recipe.backbone_folder
        corpus, held_out = load_corpus(lake, day, night)
        identity = {
            **recipe.parameters(),
            "data": corpus.fingerprint(),
            "backbone_weights": backbone.fingerprint(self.folder),
        }
        taught = (None, None)
        if self.plan.teacher:
            identity["teacher_weights"] = backbone.fingerprint(self.plan.teacher)
            taught, self.losses = teach((corpus, held_out), recipe), (*self.losses, "teacher_loss")
        self.mask = backbone.mask_token(self.folder)
        self.texts, self.held_out = self._texts(corpus, taught[0]), _fixed(self._texts(held_out, taught[1]))
        super().__init__(
            self._start,
            checkpoints,
            identity,
            {
                **tracking.day_tags(day, night),
                "recipe": recipe.name,
                "lake": lake,
                f"delta_version.{TABLE}": str(corpus.version),
            },
            steps=self.plan.steps,
            shards=self.plan.shards,
            every=self.plan.evaluate_every,
            seed=recipe.seed,
        )

    def _texts(self, corpus: Corpus, taught: np.ndarray | None) -> Texts:
        tokenizer = backbone.load_tokenizer(self.folder, self.recipe.max_tokens)
        return Texts(corpus, tokenizer, self.plan, mask=self.mask, seed=self.recipe.seed, taught=taught)

    def _start(self) -> deepspeed.DeepSpeedEngine:
        torch.manual_seed(self.recipe.seed)
        model = backbone.load_language_model(self.folder, masked=self.mask is not None)
        if self.plan.layers is not None:
            backbone.keep_layers(model.base_model, self.plan.layers)
        backbone.tune(model.base_model, None, lora_rank=self.recipe.lora_rank, recompute=self.recipe.recompute)
        width = 0 if self.texts.taught is None else self.texts.taught.shape[1]
        objective = TextObjective(
            model, self.plan, causal=self.mask is None, bfloat16=self.recipe.bfloat16, taught=width
        )
        learning = [parameter for parameter in objective.parameters() if parameter.requires_grad]
        config = self.recipe.deepspeed(dist.get_world_size(), self.plan.shards, self.plan.texts)
        groups = [{"params": learning, "lr": self.plan.lr}]
        return start_engine(objective, groups, config, steps=self.plan.steps, warmup=self.plan.warmup)

    def before(self, step: int) -> dict[str, float]:
        return self.look() if step % self.plan.evaluate_every == 0 else {}

    def forward(self, step: int, shard: int) -> torch.Tensor:
        return self.engine(self._here(self.texts.draw(step, shard)))

    def _here(self, arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(array).to(self.engine.device) for name, array in arrays.items()}

    @torch.no_grad()
    def look(self) -> dict[str, float]:
        """Of the held-out texts: perplexity of their tokens, share of pairs that are found, distance to the teacher."""
        sums = torch.zeros(3, 2, dtype=torch.float64)  # rows: tokens, pairs, texts; columns: what was found of how many
        for batch in self.held_out:
            told = F.pad(self.engine.module(self._here(batch)).cpu(), (0, 1))
            counts = [(batch["labels"] != NO_LABEL).sum(), len(batch["pairs"]), len(batch.get("taught", ()))]
            weights = torch.tensor(counts, dtype=torch.float64)
            sums += torch.stack([told[[1, 3, 4]].double() * weights, weights], dim=1)
        found = (sums[:, 0] / sums[:, 1].clamp(min=1)).tolist()
        names = ("held_out_perplexity", "held_out_pairs_right", "held_out_teacher_loss")
        figures = dict(zip(names, [float(np.exp(found[0])), *found[1:]], strict=True))
        known = {name: value for (name, value), (_, count) in zip(figures.items(), sums.tolist(), strict=True) if count}
        log.info("step %s: %s", self.step, ", ".join(f"{name} {value:.4f}" for name, value in known.items()))
        return known

    def finish(self) -> None:
        """Leave a Hugging Face folder for fine-tuning to start from."""
        figures, folder = self.look(), self.checkpoints.model
        folder.mkdir(exist_ok=True)
        model = self.engine.module.model.base_model
        consolidate(model, folder / "model.safetensors")
        if self.rank == 0:
            model.config.save_pretrained(folder)
            backbone.copy_tokenizer(self.folder, folder)
            for name, value in figures.items():
                self.client.log_metric(self.run_id, name, value, step=self.steps)
            self.draw_curves()
            self.client.set_terminated(self.run_id)
            self.checkpoints.write_card(finished=True)
            log.info("run %s left %s", self.run_id, folder)


def _fixed(texts: Texts) -> list[dict[str, np.ndarray]]:
    """The same micro-batches of held-out texts at every look."""
    rng, size = np.random.default_rng(texts.seed), texts.plan.texts
    pairs, alone = rng.permutation(texts.corpus.pairs), rng.permutation(texts.alone)
    batches = []
    for number in range(LOOKS):
        part = texts.apart(pairs[number * size // 2 : (number + 1) * size // 2])
        others = alone[number * size : (number + 1) * size]
        if len(part) or len(others):
            batches.append(texts.batch(part, others, rng))
    return batches


def pretrain(recipe: Recipe, day: date, lake: str, checkpoints: Checkpoints, night: date | None) -> None:
    """The whole stage, where the recipe has it; of a fold of ``night``, where that is given."""
    if not recipe.pretraining:
        log.info("recipe %s has no pre-training", recipe.name)
        return
    run = Pretrain(recipe, day, lake, checkpoints, night)
    run.train()
    run.finish()


if __name__ == "__main__":
    launched("pretrain", pretrain)
