"""What training descends: the losses of the tasks that the night's data supports, weighed against each other."""

import logging

import numpy as np
import torch
from torch import nn

from training import heads
from training.balance import Balance
from training.data import Night
from training.loss import next_item_loss
from training.model import Recommender
from training.precision import mixed, product_type
from training.recipe import Recipe
from training.trends import bought_again
from training.weeks import since

log = logging.getLogger("training.objective")


def tasks(night: Night, recipe: Recipe) -> tuple[str, ...]:
    """The tasks that there is something to learn for, the next item first.

    What was shown has a place only where queries stand for weeks; labels that are all alike teach nothing. All but the
    next item start from what is counted over users.
    """
    if not recipe.counted:
        return ("next_item",)
    shown, weeks = night.exposures, recipe.predict == "week"
    found = {
        "click": weeks and _both("clicked", shown.clicked),
        "purchase": weeks and _both("bought", shown.bought),
        "spend": bool((night.histories.amounts > 0).any()),
        "relevance": len(night.queries.texts) > 0,
        "variety": weeks and night.paths.shape[1] > 0,
    }
    return ("next_item", *(name for name, there in found.items() if there))


def _both(name: str, labels: np.ndarray) -> bool:
    told = labels[~np.isnan(labels)]
    if len(told) and told.min() == told.max():
        log.warning(
            "behaviour.exposures: %s is %s in all %s rows before the held-out days, so no head can learn it",
            name,
            bool(told[0]),
            f"{len(told):,}",
        )
    return bool(len(told)) and bool(told.min() < told.max())


class Objective(nn.Module):
    """The recommender with a table of all texts' encodings, which stands in for texts that don't go through it live.

    The table is a buffer, so it is part of a checkpoint and a resumed run goes on with the same one.
    """

    def __init__(self, recommender: Recommender, night: Night, recipe: Recipe):
        super().__init__()
        self.recommender, self.known, self.recipe = recommender, night.known, recipe
        self.tasks = tasks(night, recipe)
        self.balance = Balance(recipe.balance, len(self.tasks), recipe.side_weight)
        self.register_buffer("table", torch.zeros(len(night.texts), recommender.texts.width))
        self.register_buffer("text_of", torch.from_numpy(night.text_of), persistent=False)
        self.register_buffer("tags_of", torch.from_numpy(night.tags), persistent=False)
        # unlike the trend, of one moment for all queries, which is before the first of them
        again = torch.zeros(len(night.item_ids))
        if recipe.counted:
            again = torch.from_numpy(bought_again(night, since(night, recipe)))
        self.register_buffer("again_of", again.unsqueeze(-1), persistent=False)

    def centre_texts(self) -> None:
        """From now on texts are measured from the mean of the table."""
        self.recommender.items.centre.copy_(self.table.mean(0))

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """float32[1 + 2 * tasks]: the loss, each task's own in nats, and what each task counts in the loss."""
        encodings = self._encodings(batch)
        index = torch.where(batch["unknown"] | (batch["candidates"] >= self.known), 0, batch["candidates"] + 1)
        texts, tags = self.text_of[batch["candidates"]], self.tags_of[batch["candidates"]]
        vectors = self.recommender.items(encodings(texts), tags, index)
        drift = batch["trend"] @ self.recommender.items.pull  # [moments, candidates]
        users, again = self._read(batch, vectors, drift)
        asked = batch["last"] >= 0
        users, again, moments = users[asked], again[asked], batch["moment"][asked]
        history = batch["history"].unsqueeze(1).expand(*asked.shape, -1)[asked]
        known = torch.arange(history.shape[1], device=history.device) <= batch["last"][asked].unsqueeze(-1)
        found = {
            "next_item": next_item_loss(
                users,
                vectors,
                again,
                drift,
                moments,
                history.clamp(min=0),
                known & (history >= 0),
                batch["log_weight"],
                batch["targets"][asked],
                product_type(self.table.device.type, self.recipe.bfloat16),
                self.recipe.focus,
                self.recipe.explore,
            )
        }
        labels = {name: batch[name][asked] for name in ("targets", "paid", "shown", "clicked", "bought", "weight")}
        shown = batch["shown"][asked].clamp(min=0)
        scores = users[:, -1:] * drift[moments.unsqueeze(-1), shown] if len(drift) else 0.0
        found |= self._of_pairs(users, vectors, again, history, index, labels, scores)
        if "variety" in self.tasks:
            found["variety"] = heads.variety_loss(self.recommender.heads.accepted(users), batch["variety"][asked])
        if "relevance" in self.tasks:
            found["relevance"] = self._relevance(encodings(batch["asked_texts"]), vectors, batch["asked_items"])
        losses = torch.stack([found[task] for task in self.tasks])
        whole, weights = self.balance(losses, (users, vectors, again))
        return torch.cat([whole.reshape(1), losses.detach(), weights])

    def _read(
        self, batch: dict[str, torch.Tensor], vectors: torch.Tensor, drift: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the user tower says of every history at each of its queries, an empty place of a query included.

        Args:
            vectors: float32[candidates, dim].
            drift: float32[moments, candidates], what each moment adds to an item's bias; no moments without trends.
        """
        mask, places = batch["history"] >= 0, batch["history"].clamp(min=0)
        asked = batch["last"] >= 0
        last = torch.where(asked, batch["last"], mask.shape[1] - 1)  # no query: any place
        told, again = None, self.again_of[batch["candidates"]][places].unsqueeze(1)
        trend = again.new_zeros(*again.shape[:-1], batch["trend"].shape[-1])
        if len(drift):
            spots = batch["moment"].unsqueeze(-1), places.unsqueeze(1)
            told, trend = drift[spots], batch["trend"][spots]
        sales = torch.cat([trend, again.expand(*trend.shape[:-1], 1)], dim=-1)
        history = vectors[places] * mask.unsqueeze(-1)
        return self.recommender.users(history, batch["ages"], batch["history"], last, batch["query_ages"], told, sales)

    def _of_pairs(self, users, vectors, again, history, index, labels, moved) -> dict[str, torch.Tensor]:
        """Losses of what is said of pairs, for N queries with K targets and E items shown.

        Args:
            moved: float32[N, E], what the moment adds to the relevance of what was shown.
        """
        model = self.recommender.heads
        if not set(heads.PAIRED) & set(self.tasks):
            return {}
        of_users, of_items = model.of_users(users), model.of_items(vectors, index)
        found = {}
        if {"click", "purchase"} & set(self.tasks):
            shown = labels["shown"].clamp(min=0)
            same = (labels["shown"].unsqueeze(-1) == history.unsqueeze(1)).to(again.dtype)
            scores = (users.unsqueeze(1) * vectors[shown]).sum(-1) + (same @ again.unsqueeze(-1)).squeeze(-1) + moved
            click, purchase = (
                heads.logits(user.unsqueeze(1), item[shown], scores)
                for user, item in zip(of_users[:2], of_items[:2], strict=True)
            )
            told = (labels["clicked"], labels["bought"], labels["weight"])
            losses = heads.exposure_losses(click, purchase, *told)
            found |= dict(zip(heads.LOGITS, losses, strict=True))
        if "spend" in self.tasks:
            bought = labels["targets"].clamp(min=0)
            means = (of_users[2].unsqueeze(1) * of_items[2][bought]).sum(-1)
            found["spend"] = heads.spend_loss(means, model.log_deviation, labels["paid"])
        return found

    def _relevance(self, encodings: torch.Tensor, vectors: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Mean over the texts of -log softmax of the item that each tells about, in nats."""
        if not len(items):
            return vectors.sum() * 0.0
        queries = self.recommender.heads.of_queries(encodings - self.recommender.items.centre)
        return nn.functional.cross_entropy(queries @ vectors.T, items)

    def _encodings(self, batch: dict[str, torch.Tensor]):
        """A function from positions of texts to their encodings, of ``live`` ones with gradients into the model."""
        live, place = None, torch.full((len(self.table),), -1, dtype=torch.long, device=self.table.device)
        if len(batch["live"]):
            with mixed(self.table.device.type, self.recipe.bfloat16):
                live = self.recommender.texts(batch["token_ids"], batch["attention_mask"])
            place[batch["live"]] = torch.arange(len(live), device=place.device)

        def encodings(texts: torch.Tensor) -> torch.Tensor:
            if live is None:
                return self.table[texts]
            spot = place[texts]
            return torch.where((spot >= 0).unsqueeze(-1), live[spot.clamp(min=0)], self.table[texts])

        return encodings
