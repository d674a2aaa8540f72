"""The training objective: next-item loss over sampled candidates, and the purchase head's."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from training.model import Recommender
from training.recipes import Recipe


class Objective(nn.Module):
    """The recommender with a table of all texts' encodings, which stands in for texts that don't go through it live.

    The table is a buffer, so it is part of a checkpoint and a resumed run goes on with the same one.
    """

    def __init__(self, recommender: Recommender, text_of: np.ndarray, texts: int, known: int, recipe: Recipe):
        super().__init__()
        self.recommender, self.known, self.recipe = recommender, known, recipe
        self.register_buffer("table", torch.zeros(texts, recommender.texts.width))
        self.register_buffer("text_of", torch.from_numpy(text_of), persistent=False)

    def forward(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The loss, and its two parts: next item (nats per target) and purchase (weighted nats per shown item)."""
        vectors, purchase = self._candidates(batch)
        mask = batch["history"] >= 0
        history = vectors[batch["history"].clamp(min=0)] * mask.unsqueeze(-1)
        last = torch.where(batch["last"] < 0, mask.shape[1] - 1, batch["last"])  # no query: any place, it has no target
        users, user_purchase, again = self.recommender.users(
            history, batch["ages"], batch["history"], last, batch["query_ages"]
        )
        places = batch["history"].clamp(min=0).unsqueeze(1).expand_as(again)
        scores = (users @ vectors.T).scatter_add(2, places, again)
        following = next_item_loss(scores + batch["log_weight"], batch["targets"])
        shown = (purchase[batch["shown"].clamp(min=0)] * user_purchase.unsqueeze(2)).sum(-1)
        bought = purchase_loss(shown, batch["bought"], batch["weight"])
        return following + self.recipe.purchase_weight * bought, following.detach(), bought.detach()

    def _candidates(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors of the step's candidates, ``live`` texts with gradients into the language model."""
        with torch.autocast(self.table.device.type, torch.bfloat16, enabled=self.recipe.bfloat16):
            live = self.recommender.texts(batch["token_ids"], batch["attention_mask"])
        texts = self.text_of[batch["candidates"]]
        place = torch.full((len(self.table),), -1, dtype=torch.long, device=texts.device)
        place[batch["live"]] = torch.arange(len(live), device=texts.device)
        spot = place[texts]
        encodings = torch.where((spot >= 0).unsqueeze(-1), live[spot.clamp(min=0)], self.table[texts])
        new = batch["unknown"] | (batch["candidates"] >= self.known)
        return self.recommender.items(encodings, torch.where(new, 0, batch["candidates"] + 1))


def next_item_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean over queries of the mean over their targets of -log softmax, in nats.

    Args:
        logits: float32[B, Q, C], with the log of how many items each candidate stands for added: the sum over the
            candidates is then an unbiased estimate of the one over all items (importance sampling).
        targets: int64[B, Q, K] places in C, or -1.
    """
    real = targets >= 0
    chosen = logits.gather(2, targets.clamp(min=0)) - logits.logsumexp(-1, keepdim=True)
    counts = real.sum(-1)
    per_query = -chosen.masked_fill(~real, 0).sum(-1) / counts.clamp(min=1)
    return per_query.sum() / (counts > 0).sum().clamp(min=1)


def purchase_loss(logits: torch.Tensor, bought: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted binary cross entropy in nats; the weights undo the sampling of what was shown. 0 where nothing was."""
    entropy = F.binary_cross_entropy_with_logits(logits, bought, reduction="none")
    return (entropy * weights).sum() / weights.sum().clamp(min=1e-9)
