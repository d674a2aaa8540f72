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

from training import backbone, rebuy, tracking
from training.batches import batches
from training.calibrate import corrections
from training.champion import COUNTED, OWN, Champion, choose
from training.checkpoints import Checkpoints
from training.compress import compressed
from training.consolidate import consolidate, restore
from training.data import Night, load
from training.encodings import Encodings
from training.engine import parameter_groups, start_engine
from training.export import export
from training.model import Recommender
from training.objective import Objective
from training.precision import product_type
from training.recipe import HELD_OUT_DAYS, Recipe
from training.run import Run, launched
from training.texts import TextTable
from training.trends import bought_again, trend
from training.warm_start import item_biases, item_vectors, turned, usual_spend
from training.weeks import since

log = logging.getLogger("training.finetune")

QUERY_START = 10.0  # relevance of a text to itself, before anything is learned


def build(
    recipe: Recipe, night: Night, folder: str, champion: Champion | None = None, *, resumed: bool = False
) -> Objective:
    """The model before its first step, the same on every rank; the language model from its folder.

    With a champion all that was learned is the champion's, and what is counted is the night's.

    Args:
        resumed: whether a checkpoint will replace all that could be learned here.

    Raises:
        ValueError: if the folder isn't a backbone's.
    """
    torch.manual_seed(recipe.seed)
    recommender = untrained(recipe, night, folder)
    with torch.no_grad():
        remember(recommender, recipe, night, since(night, recipe), champion.vectors(night) if champion else None)
        for own in (recommender.items.own, recommender.items.own_bias):
            own.requires_grad_(recipe.id_lr > 0)
        if champion:
            champion.adopt(recommender, night, COUNTED if recipe.id_lr else COUNTED + OWN)
        else:
            _start_heads(recommender, night)
    if recipe.repeats_steps:
        if not champion and not resumed:
            rebuy.fit(recommender, night, recipe)
        rebuy.settle(recommender)
    backbone.tune(
        recommender.texts.backbone, recipe.tuned_layers, lora_rank=recipe.lora_rank, recompute=recipe.recompute
    )
    return Objective(recommender, night, recipe)


def _start_heads(model: Recommender, night: Night) -> None:
    """Heads that know how often what was shown is clicked and bought, and queries that read as items' texts do."""
    shown, heads = night.exposures, model.heads
    for place, answers in enumerate((shown.clicked, shown.bought)):
        told = ~np.isnan(answers)
        if told.any() and 0 < answers[told].mean() < 1:
            rate = float(np.average(answers[told], weights=shown.weights[told]))
            usual = float(item_biases(night, night.cut)[shown.items[shown.items < night.known]].mean())
            heads.offset[place] = np.log(rate / (1 - rate)) - float(heads.gain[place]) * usual
    project = model.items.project.weight
    heads.query.weight[: len(project)] = project * (QUERY_START / float(project.square().sum(0).mean()))


@torch.no_grad()
def remember(
    model: Recommender,
    recipe: Recipe,
    night: Night,
    until: float,
    like: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    learned: bool = False,
) -> None:
    """Give the items what was counted of them by the midnight ``until``: vectors, popularity, what purchases bring.

    Where queries have a date, popularity is that of the date: until training is over it comes with them.

    Args:
        like: int64[n] positions of items, and float32[n, id_dim] vectors that the model learned to read, to which all
            are turned; None are those of all items as of before the first query.
        learned: whether the items' own vectors and biases have been learned since they were counted, and stay.
    """
    items, weeks, first = model.items, recipe.predict == "week", since(night, recipe)
    if not learned:
        vectors = item_vectors(night, recipe.id_dim, recipe.seed, until)
        if like:
            places, read = like
            vectors = turned(vectors, read, places)
        elif until > first:
            vectors = turned(vectors, item_vectors(night, recipe.id_dim, recipe.seed, first))
        items.own.weight[1:] = torch.from_numpy(vectors)
        if not weeks:
            items.own_bias.weight[1:, 0] = torch.from_numpy(item_biases(night, until))
    if weeks and until > first:
        items.trend.weight[1:] = torch.from_numpy(trend(night, until))
    items.bought_again.weight[1:, 0] = torch.from_numpy(bought_again(night, until))
    model.heads.usual.weight[:, 0] = torch.from_numpy(usual_spend(night, until))


def untrained(recipe: Recipe, night: Night, folder: str) -> Recommender:
    """A recommender of the recipe's shape for the night's items."""
    return Recommender(backbone.load_backbone(folder), night.known, len(night.tag_names), recipe)


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
        self.batches = batches(self.night, recipe, start.trained_before - HELD_OUT_DAYS if start else None)
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
        groups = parameter_groups(objective, self.recipe)
        return start_engine(objective, groups, config, steps=self.batches.steps, warmup=self.recipe.warmup)

    def before(self, step: int) -> dict[str, float]:
        if step == 0 or (step % self.recipe.refresh_every == 0 and self.recipe.tuned_layers):
            self.texts.refresh(self.engine.module)
        if step == 0 and not self.champion:  # whose centre is what all that it learned of texts is measured from
            self.engine.module.centre_texts()
        return {}

    def forward(self, step: int, shard: int) -> torch.Tensor:
        arrays = self.batches.draw(step, shard)
        arrays |= dict(zip(("token_ids", "attention_mask"), self.texts.tokens(arrays["live"]), strict=True))
        return self.engine({name: torch.from_numpy(array).to(self.engine.device) for name, array in arrays.items()})

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
            )
            self.draw_curves()
            if not self.of_fold:  # nobody serves a fold's model: it stays with its checkpoints
                self.client.log_artifacts(self.run_id, str(folder))
                version = tracking.register(self.client, self.run_id).version
                log.info("run %s is version %s of %s", self.run_id, version, tracking.MODEL)
            self.client.set_terminated(self.run_id)
            self.checkpoints.write_card(finished=True)


def finetune(recipe: Recipe, day: date, lake: str, checkpoints: Checkpoints, night: date | None) -> None:
    """The whole stage; of a fold of ``night``, where that is given."""
    run = Finetune(recipe, day, lake, checkpoints, night)
    run.train()
    run.finish()


if __name__ == "__main__":
    launched("finetune", finetune)
