"""One night's fine-tuning, as the `deepspeed` launcher starts it on every rank:

    DS_ACCELERATOR=cpu deepspeed --num_accelerators 2 --no_local_rank --module training.finetune \
        --recipe cpu --day 2017-12-31 --lake var/lake

Killed at any step, the same command goes on from the last checkpoint to the same loss curve; finished, it does nothing.
"""

import logging
from datetime import date
from pathlib import Path

import deepspeed
import numpy as np
import torch
import torch.distributed as dist

from training import backbone, tracking
from training.batches import batches
from training.calibrate import corrections
from training.champion import Champion, choose
from training.checkpoints import Checkpoints
from training.compress import compressed
from training.consolidate import consolidate, restore
from training.data import Night, load
from training.encodings import Encodings
from training.engine import parameter_groups, start_engine
from training.export import export
from training.precision import product_type
from training.public import public
from training.recipe import HELD_OUT_DAYS, Recipe
from training.run import Run, launched
from training.secret import Secret
from training.start import build, remember, untrained
from training.texts import TextTable

log = logging.getLogger("training.finetune")


def language_model(recipe: Recipe, day: date, night: date | None) -> str:
    """The folder that fine-tuning starts from: what pre-training (of the fold) left, or the recipe's backbone.

    Raises:
        ValueError: if the recipe wants pre-training, and the night has none.
    """
    if not recipe.pretraining:
        return recipe.backbone_folder
    folder = Checkpoints.of(recipe.name, day, "pretrain", night).model
    if not (folder / "model.safetensors").exists():
        raise ValueError(f"{folder} holds no pre-trained model for {day}; run training.pretrain with this recipe first")
    return str(folder)


def start_of(recipe: Recipe, night: Night, folder: str, copies: Path) -> Champion | None:
    """The champion that a warm recipe's night starts from, copied to ``copies``, or None; every rank must call this."""
    found = [None]
    if recipe.warm and dist.get_rank() == 0:
        found = [choose(tracking.connect(), copies, night, lambda: untrained(recipe, night, folder))]
    if recipe.warm:
        dist.broadcast_object_list(found)
    return found[0]


class Finetune(Run):
    """A night's fine-tuning, or that of one of its folds: read from the tables of ``night``, but known on ``day``."""

    stage = "finetune"
    losses = ("loss",)

    def __init__(self, recipe: Recipe, day: date, lake: str, checkpoints: Checkpoints, night: date | None):
        whole, self.of_fold = load(lake, day, night), night is not None
        whole = whole if recipe.counted else public(whole)
        self.recipe, self.night = recipe, whole.training()
        self.folder = language_model(recipe, day, night)
        start = self.champion = start_of(recipe, self.night, self.folder, checkpoints.folder / "champion")
        identity = {
            **recipe.parameters(),
            **({"warm_from_run": start.run_id if start else None} if recipe.warm else {}),
            "data": whole.fingerprint(),
            "backbone_weights": backbone.fingerprint(self.folder),
        }
        tags = {"warm_from": start.version if start else "backbone"} if recipe.warm else {}
        versions = {f"delta_version.{name}": str(version) for name, version in whole.versions.items()}
        self.tokenizer = backbone.load_tokenizer(self.folder, recipe.max_tokens)
        self.texts = TextTable(
            *backbone.tokenise(self.tokenizer, whole.texts), bfloat16=recipe.bfloat16, kept=self._kept(whole)
        )
        fresh_from = start.trained_before - HELD_OUT_DAYS if start else None
        self.batches = batches(self.night, recipe, fresh_from, self._secret(checkpoints))
        self.guarantee = self.batches.guarantee
        if self.guarantee:
            identity |= {name: getattr(self.guarantee, name) for name in ("noise_multiplier", "sample_rate")}
        super().__init__(
            self._start,
            checkpoints,
            identity,
            {**tracking.day_tags(day, night), "recipe": recipe.name, "lake": lake, **tags, **versions},
            steps=self.batches.steps,
            shards=recipe.shards,
            every=recipe.checkpoint_every,
            seed=recipe.seed,
        )

    def _secret(self, checkpoints: Checkpoints) -> Secret | None:
        """Of a private recipe, the same on every rank."""
        self.key, found = checkpoints.folder / "noise.key", [None]
        if not self.recipe.private:
            return None
        if dist.get_rank() == 0:
            found = [Secret.kept(self.key, resumed=checkpoints.latest() > 0)]
        dist.broadcast_object_list(found)
        return found[0]

    def _kept(self, whole: Night) -> Encodings | None:
        """What a language model that doesn't learn said of the texts before."""
        if self.recipe.tuned_layers:
            return None
        number = product_type(deepspeed.accelerator.get_accelerator().device_name(), self.recipe.bfloat16)
        name = f"{backbone.fingerprint(self.folder)[:16]}-{self.recipe.max_tokens}-{number}".replace("torch.", "")
        return Encodings.of(name, whole.texts)

    def _start(self) -> deepspeed.DeepSpeedEngine:
        resumed = self.checkpoints.latest() > 0
        objective = build(self.recipe, self.night, self.folder, self.champion, resumed=resumed)
        config = self.recipe.deepspeed(dist.get_world_size(), self.recipe.shards, self.recipe.users)
        self.losses = ("loss", *(f"{task}_{what}" for what in ("loss", "weight") for task in objective.tasks))
        groups = parameter_groups(objective, self.recipe, self.batches.steps)
        return start_engine(objective, groups, config, steps=self.batches.steps, warmup=self.recipe.warmup)

    def before(self, step: int) -> dict[str, float]:
        anew = step % self.recipe.refresh_every == 0 or step == self.recipe.settled(self.batches.steps)
        if step == 0 or (self.recipe.tuned_layers and anew):
            self.texts.refresh(self.engine.module)
        if step == 0 and not self.champion:  # whose centre is what all that it learned of texts is measured from
            self.engine.module.centre_texts()
        done = step + 1
        if self.guarantee and self.rank == 0 and (done % self.every == 0 or done == self.steps):
            return {"epsilon": self.guarantee.after(done)}
        return {}

    def forward(self, step: int, shard: int) -> torch.Tensor:
        if self.guarantee:
            users = map(self._with_tokens, self.batches.users(step, shard))
            return self.engine(users, self.batches.noise(step, shard))
        return self.engine(self._with_tokens(self.batches.draw(step, shard)))

    def _with_tokens(self, arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
        arrays |= dict(zip(("token_ids", "attention_mask"), self.texts.tokens(arrays["live"]), strict=True))
        return {name: torch.from_numpy(array).to(self.engine.device) for name, array in arrays.items()}

    def finish(self) -> None:
        """Export, store and register the model."""
        folder = self.checkpoints.model
        folder.mkdir(exist_ok=True)
        consolidate(self.engine.module.recommender, folder / "model.safetensors")
        objective = self.engine.module
        tasks, table = objective.tasks, objective.table.cpu()
        del self.engine, objective  # what is exported is read from the file: two models at once might not fit
        if self.rank == 0:
            model = untrained(self.recipe, self.night, self.folder)
            restore(model, folder / "model.safetensors")
            like = self.champion.vectors(self.night) if self.champion else None
            # what is counted is counted anew, for by now there is more to count
            kept = self.recipe.id_lr > 0
            remember(model, self.recipe, self.night, self.night.cut - HELD_OUT_DAYS, like, learned=kept)
            corrected = corrections(model, self.recipe, self.night, table, tasks)
            remember(model, self.recipe, self.night, self.night.cut, like, learned=kept)
            consolidate(model, folder / "model.safetensors")
            if self.recipe.int8:
                model.texts = compressed(model.texts)
            export(
                model,
                self.tokenizer,
                self.night,
                self.recipe,
                folder / "export",
                tasks=tasks,
                corrections=corrected,
                table=None if self.recipe.int8 else table,  # which the model in fewer bits doesn't say
                guarantee=self.guarantee,
            )
            self.draw_curves()
            if not self.of_fold:  # nobody serves a fold's model: it stays with its checkpoints
                self.client.log_artifacts(self.run_id, str(folder))
                version = tracking.register(self.client, self.run_id).version
                log.info("run %s is version %s of %s", self.run_id, version, tracking.MODEL)
            self.client.set_terminated(self.run_id)
            self.checkpoints.write_card(finished=True)
            self.key.unlink(missing_ok=True)  # with it, whoever finds it takes the noise away


def finetune(recipe: Recipe, day: date, lake: str, checkpoints: Checkpoints, night: date | None) -> None:
    """The whole stage; of a fold of ``night``, where that is given."""
    run = Finetune(recipe, day, lake, checkpoints, night)
    run.train()
    run.finish()


if __name__ == "__main__":
    launched("finetune", finetune)
