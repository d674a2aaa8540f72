"""One night's fine-tuning, as the `deepspeed` launcher starts it on every rank:

    DS_ACCELERATOR=cpu deepspeed --num_accelerators 2 --no_local_rank --module training.finetune \
        --recipe cpu --day 2017-12-31 --lake var/lake

Killed at any step, the same command goes on from the last checkpoint to the same loss curve; finished, it does nothing.
"""

import argparse
import logging
import os
import sys
import time
from datetime import date

import deepspeed
import numpy as np
import torch
import torch.distributed as dist
from tqdm import tqdm

from training import tracking
from training.backbone import load_backbone, load_tokenizer, tokenise
from training.batches import batches
from training.checkpoints import Checkpoints
from training.data import Night, load
from training.engine import keep_memory, start_engine
from training.export import export
from training.loss import Objective
from training.model import Recommender
from training.recipes import Recipe, recipe
from training.texts import TextTable
from training.warm_start import item_biases, item_vectors

log = logging.getLogger("training.finetune")

LOSSES = ("loss", "next_item_loss", "purchase_loss")
METRICS = (*LOSSES, "gradient_norm", "learning_rate", "step_seconds")


def build(recipe: Recipe, night: Night) -> Objective:
    """The model before its first step, the same on every rank; the backbone from its folder.

    Raises:
        ValueError: if the backbone's folder isn't one.
    """
    torch.manual_seed(recipe.seed)
    encoder = load_backbone(recipe.backbone_folder, recipe.tuned_layers)
    recommender = Recommender(encoder, night.known, len(night.tag_names), recipe)
    with torch.no_grad():
        items = recommender.items
        items.own.weight[1:] = torch.from_numpy(item_vectors(night, recipe.id_dim, recipe.seed))
        items.own_bias.weight[1:, 0] = torch.from_numpy(item_biases(night))
        shown, bought = night.exposures.weights, night.exposures.bought
        if len(shown):
            rate = float((shown * bought).sum() / shown.sum())
            items.purchase.bias.fill_(np.log(rate / (1 - rate)) / recipe.purchase_dim**0.5)
    return Objective(recommender, night, recipe)


class Run:
    """A night's training: the engine, its batches, its checkpoints and its MLflow run."""

    def __init__(self, recipe: Recipe, night: Night, checkpoints: Checkpoints, lake: str):
        self.recipe, self.checkpoints = recipe, checkpoints
        self.rank = dist.get_rank()
        self.night = night.training()
        identity = {**recipe.parameters(), "data": night.fingerprint(), "ranks": dist.get_world_size()}
        checkpoints.check(identity)
        self.tokenizer = load_tokenizer(recipe.backbone_folder, recipe.max_tokens)
        self.texts = TextTable(*tokenise(self.tokenizer, night.texts), bfloat16=recipe.bfloat16)
        self.batches = batches(self.night, recipe)
        self.engine = start_engine(build(recipe, self.night), recipe, self.batches.steps)
        self.engine.module.recommender.texts.eval()  # no dropout: a live encoding must fit the table's
        self.step = 0
        if checkpoints.latest():
            path, _ = self.engine.load_checkpoint(str(checkpoints.folder))
            self.step = checkpoints.latest()
            log.info("goes on from %s after %d steps", path, self.step)
        if self.rank == 0:
            self.client = tracking.connect()
            run_id = checkpoints.card().get("run_id") or self._open(identity, lake)
            checkpoints.write_card(**identity, run_id=run_id)
            self.run_id = run_id
        self.curve: list[dict[str, float]] = []

    def _open(self, identity: dict, lake: str) -> str:
        """Start the MLflow run and write down what it is made from."""
        versions = {f"delta_version.{name}": str(version) for name, version in self.night.versions.items()}
        tags = {"day": str(self.night.day), "recipe": self.recipe.name, "lake": lake, **versions}
        name = f"{self.recipe.name} {self.night.day}"
        run = self.client.create_run(tracking.experiment(self.client), tags=tags, run_name=name)
        for key, value in identity.items():
            self.client.log_param(run.info.run_id, key, value)
        return run.info.run_id

    def train(self) -> None:
        """All steps that are left.

        Raises:
            FloatingPointError: when the loss is no number; the last checkpoint stays as it is.
        """
        bar = tqdm(total=self.batches.steps, initial=self.step, desc="fine-tune", unit="step", disable=self.rank != 0)
        while self.step < self.batches.steps:
            if self.step == 0 or (self.step % self.recipe.refresh_every == 0 and self.recipe.tuned_layers):
                self.texts.refresh(self.engine.module)
            if self.step == 0:
                self.engine.module.centre_texts()
            began = time.perf_counter()
            figures = self._one_step()
            self.curve.append({"step": self.step, **figures, "step_seconds": time.perf_counter() - began})
            self.step += 1
            bar.update()
            bar.set_postfix(loss=f"{figures['loss']:.4f}", refresh=False)
            if self.step % self.recipe.checkpoint_every == 0 or self.step == self.batches.steps:
                self._checkpoint()
        bar.close()

    def _one_step(self) -> dict[str, float]:
        """This rank's micro-batches, and the optimizer's step after the last of them."""
        ranks, figures = dist.get_world_size(), torch.zeros(len(LOSSES))
        for shard in range(self.rank, self.recipe.shards, ranks):
            loss, parts = self._forward(shard)
            self.engine.backward(loss)
            self.engine.step()
            figures += parts
        dist.all_reduce(figures)
        norm = float(self.engine.get_global_grad_norm() or 0.0)
        if not np.isfinite(norm):
            raise FloatingPointError(self._stopped(f"the gradient of step {self.step} is {norm}"))
        means = (figures / self.recipe.shards).tolist()
        return dict(zip(METRICS, [*means, norm, self.engine.get_lr()[1]], strict=False))

    def _forward(self, shard: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss of one micro-batch, and float32[LOSSES] for the log."""
        torch.manual_seed(hash((self.recipe.seed, self.step, shard)))  # dropout too is the same after a kill
        arrays = self.batches.draw(self.step, shard)
        arrays |= dict(zip(("token_ids", "attention_mask"), self.texts.tokens(arrays["live"]), strict=True))
        batch = {name: torch.from_numpy(array).to(self.engine.device) for name, array in arrays.items()}
        loss, following, bought = self.engine(batch)
        parts = torch.stack([loss.detach(), following, bought]).cpu()
        if not parts.isfinite().all():
            raise FloatingPointError(
                self._stopped(f"the loss of step {self.step} is {parts[0].item()} in micro-batch {shard}")
            )
        return loss, parts

    def _stopped(self, why: str) -> str:
        return (
            f"{why}; lower the recipe's learning rates. "
            f"The checkpoint after step {self.checkpoints.latest()} in {self.checkpoints.folder} is kept"
        )

    def _checkpoint(self) -> None:
        """Steps are logged when they are safe, so that none is logged twice after a kill."""
        if self.rank == 0:
            now = int(time.time() * 1000)
            rows = [
                tracking.Metric(name, float(row[name]), now, int(row["step"])) for row in self.curve for name in METRICS
            ]
            for low in range(0, len(rows), 1000):  # MLflow's limit for one call
                self.client.log_batch(self.run_id, metrics=rows[low : low + 1000])
        self.curve = []
        self.engine.save_checkpoint(str(self.checkpoints.folder), tag=f"step{self.step}")
        if self.rank == 0:
            self.checkpoints.prune()

    def finish(self) -> None:
        """Export, store and register the model."""
        if self.rank == 0:
            folder = self.checkpoints.folder / "model"
            export(self.engine.module.recommender, self.tokenizer, self.night, self.recipe, folder)
            self.client.log_artifacts(self.run_id, str(folder))
            version = tracking.register(self.client, self.run_id)
            self.client.set_terminated(self.run_id)
            self.checkpoints.write_card(finished=True)
            log.info("run %s is version %s of %s", self.run_id, version.version, tracking.MODEL)


def already_finished(checkpoints: Checkpoints) -> bool:
    """Whether this recipe and day are trained and MLflow still has the run; the same answer on all ranks."""
    answer = [False]
    if dist.get_rank() == 0:
        client, card = tracking.connect(), checkpoints.card()
        answer = [bool(card.get("finished")) and tracking.has_run(client, card["run_id"])]
    dist.broadcast_object_list(answer)
    return answer[0]


def main() -> None:
    parser = argparse.ArgumentParser(prog="training.finetune", description="Fine-tune one night's recommender.")
    parser.add_argument("--recipe", required=True, help="a name of training/recipes.py, or a JSON file")
    parser.add_argument("--day", required=True, type=date.fromisoformat)
    parser.add_argument("--lake", required=True, help="path or URI of the lake")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    keep_memory()
    try:
        chosen = recipe(arguments.recipe)
        if chosen.threads:
            torch.set_num_threads(chosen.threads)
        deepspeed.init_distributed()
        checkpoints = Checkpoints.of(chosen.name, arguments.day)
        if already_finished(checkpoints):
            log.info("%s is trained already (%s)", arguments.day, checkpoints.folder)
            return
        run = Run(chosen, load(arguments.lake, arguments.day), checkpoints, arguments.lake)
        run.train()
        run.finish()
        dist.barrier()
    except (ValueError, ConnectionError, FloatingPointError) as error:
        sys.stderr.write(f"error: {error}\n")
        sys.stderr.flush()
        os._exit(1)  # the other ranks wait in a collective: leave at once, and the launcher ends them


if __name__ == "__main__":
    main()
