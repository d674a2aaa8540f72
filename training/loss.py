"""The training objective: next-item loss over sampled candidates, and the purchase head's."""

import torch
from torch import nn
from torch.nn import functional as F

from training.data import Night
from training.model import Recommender
from training.recipes import Recipe

QUERIES_AT_ONCE = 256


class Objective(nn.Module):
    """The recommender with a table of all texts' encodings, which stands in for texts that don't go through it live.

    The table is a buffer, so it is part of a checkpoint and a resumed run goes on with the same one.
    """

    def __init__(self, recommender: Recommender, night: Night, recipe: Recipe):
        super().__init__()
        self.recommender, self.known, self.recipe = recommender, night.known, recipe
        self.register_buffer("table", torch.zeros(len(night.texts), recommender.texts.width))
        self.register_buffer("text_of", torch.from_numpy(night.text_of), persistent=False)
        self.register_buffer("tags_of", torch.from_numpy(night.tags), persistent=False)

    def centre_texts(self) -> None:
        """From now on texts are measured from the mean of the table."""
        self.recommender.items.centre.copy_(self.table.mean(0))

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """float32[3]: the loss, and its parts: next item (nats per target), purchase (weighted nats per shown item)."""
        vectors, purchase = self._candidates(batch)
        mask = batch["history"] >= 0
        history = vectors[batch["history"].clamp(min=0)] * mask.unsqueeze(-1)
        asked = batch["last"] >= 0
        last = torch.where(asked, batch["last"], mask.shape[1] - 1)  # no query: any place
        users, user_purchase, again = self.recommender.users(
            history, batch["ages"], batch["history"], last, batch["query_ages"]
        )
        places = batch["history"].clamp(min=0).unsqueeze(1).expand_as(again)[asked]
        following = next_item_loss(
            users[asked],
            vectors,
            again[asked],
            places,
            batch["log_weight"],
            batch["targets"][asked],
            torch.bfloat16 if self.recipe.bfloat16 else torch.float32,
            self.recipe.focus,
        )
        shown = (purchase[batch["shown"].clamp(min=0)] * user_purchase.unsqueeze(2)).sum(-1)
        bought = purchase_loss(shown, batch["bought"], batch["weight"])
        return torch.stack([following + self.recipe.purchase_weight * bought, following.detach(), bought.detach()])

    def _candidates(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors of the step's candidates, ``live`` texts with gradients into the language model."""
        texts = self.text_of[batch["candidates"]]
        encodings = self.table[texts]
        if len(batch["live"]):
            with torch.autocast(self.table.device.type, torch.bfloat16, enabled=self.recipe.bfloat16):
                live = self.recommender.texts(batch["token_ids"], batch["attention_mask"])
            place = torch.full((len(self.table),), -1, dtype=torch.long, device=texts.device)
            place[batch["live"]] = torch.arange(len(live), device=texts.device)
            spot = place[texts]
            encodings = torch.where((spot >= 0).unsqueeze(-1), live[spot.clamp(min=0)], encodings)
        new = batch["unknown"] | (batch["candidates"] >= self.known)
        tags = self.tags_of[batch["candidates"]]
        return self.recommender.items(encodings, tags, torch.where(new, 0, batch["candidates"] + 1))


class _NextItemLoss(torch.autograd.Function):
    """Loss and gradients in one pass over blocks of queries, so that no more than a block's logits are ever held.

    The logits of all queries are by far the largest arrays of a step: keeping them for a backward pass costs more time
    in moving memory than in arithmetic.
    """

    @staticmethod
    def forward(ctx, users, vectors, again, places, log_weight, targets, dtype, focus):
        reduced = vectors.to(dtype)
        real = targets >= 0
        counts = real.sum(-1, keepdim=True).clamp(min=1)
        queries = (real.any(-1)).sum().clamp(min=1)
        to_users, to_vectors, to_again = torch.empty_like(users), torch.zeros_like(vectors), torch.empty_like(again)
        loss = users.new_zeros(())
        for low in range(0, len(users), QUERIES_AT_ONCE):
            rows = slice(low, low + QUERIES_AT_ONCE)
            mine = users[rows].to(dtype)
            logits = (mine @ reduced.T).float().add_(log_weight).scatter_add_(1, places[rows], again[rows])
            wanted, share = targets[rows].clamp(min=0), real[rows] / (counts[rows] * queries)
            if 0 < focus < logits.shape[1]:
                least = logits.topk(focus, sorted=False).values.amin(-1, keepdim=True)
                outside = logits < least
                share = share * ~outside.gather(1, wanted)
                logits.masked_fill_(outside, -torch.inf)
            normal = logits.logsumexp(-1, keepdim=True)
            loss -= (torch.where(share == 0, 0.0, logits.gather(1, wanted) - normal) * share).sum()
            slope = logits.sub_(normal).exp_().mul_(share.sum(-1, keepdim=True)).scatter_add_(1, wanted, -share)
            to_again[rows] = slope.gather(1, places[rows])
            slope = slope.to(dtype)
            to_users[rows] = (slope @ reduced).float()
            to_vectors += slope.T @ mine
        ctx.save_for_backward(to_users, to_vectors, to_again)
        return loss

    @staticmethod
    def backward(ctx, scale):
        to_users, to_vectors, to_again = ctx.saved_tensors
        return to_users * scale, to_vectors * scale, to_again * scale, None, None, None, None, None


def next_item_loss(
    users: torch.Tensor,
    vectors: torch.Tensor,
    again: torch.Tensor,
    places: torch.Tensor,
    log_weight: torch.Tensor,
    targets: torch.Tensor,
    dtype: torch.dtype = torch.float32,
    focus: int = 0,
) -> torch.Tensor:
    """Mean over queries of the mean over their targets of -log softmax, in nats.

    Args:
        users: float32[N, D] of the queries.
        vectors: float32[C, D] of the candidates.
        again: float32[N, H], what is added to the logits of the candidates ``places`` int64[N, H].
        log_weight: float32[C], log of how many items a candidate stands for: the sum over the candidates is then an
            unbiased estimate of the one over all items (importance sampling).
        targets: int64[N, K] places in C, or -1; queries without any don't count.
        dtype: of the matrix products.
        focus: how many candidates, those that score best, a query chooses between; targets that are not among them
            don't count. 0 is all of them. Far down, likelihood is gained by telling a user's likely items less from
            others, which lists pay for at their top.
    """
    return _NextItemLoss.apply(users, vectors, again, places, log_weight, targets, dtype, focus)


def purchase_loss(logits: torch.Tensor, bought: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted binary cross entropy in nats; the weights undo the sampling of what was shown. 0 where nothing was."""
    entropy = F.binary_cross_entropy_with_logits(logits, bought, reduction="none")
    return (entropy * weights).sum() / weights.sum().clamp(min=1e-9)
