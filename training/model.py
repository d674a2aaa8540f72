"""The recommender: an item is its text and itself, a user is what they bought and when.

Item vector: [projection of the text's encoding | the item's own vector (0 when unknown) | bias]. User vector: what a
causal transformer says at the latest event, plus a sum of the history's item vectors weighted by age and repetition.
Relevance is their inner product, and for an item of the user's history what having bought it adds: vectors of a few
hundred dimensions can't tell one of a hundred thousand items from its like, and groceries are bought again.
"""

import torch
from torch import nn
from torch.nn import functional as F

HALF_LIVES = (0.25, 2.0, 8.0, 32.0, 128.0, 512.0)  # days: same basket, same trip, a week, a month, a season, a year
TIMES = 5  # features of a repeat beside its decayed counts


def decays(ages: torch.Tensor) -> torch.Tensor:
    """2^(-age / half-life) for each of HALF_LIVES: [...] days -> [..., 6]."""
    return torch.exp2(-ages.clamp(min=0).unsqueeze(-1) / ages.new_tensor(HALF_LIVES))


class ItemTower(nn.Module):
    """(float32[B, E] text encodings, int64[B] item index, 0 = unknown) -> (float32[B, D], float32[B, P])."""

    def __init__(self, text_width: int, items: int, text_dim: int, id_dim: int, purchase_dim: int):
        super().__init__()
        self.project = nn.Linear(text_width, text_dim)
        self.text_bias = nn.Linear(text_width, 1)
        self.own = nn.Embedding(items + 1, id_dim, padding_idx=0)
        self.own_bias = nn.Embedding(items + 1, 1, padding_idx=0)
        self.purchase = nn.Linear(text_dim + id_dim + 1, purchase_dim)
        nn.init.normal_(self.own.weight, std=0.02)
        nn.init.zeros_(self.own_bias.weight)
        nn.init.zeros_(self.text_bias.weight)
        nn.init.zeros_(self.text_bias.bias)
        with torch.no_grad():
            self.own.weight[0] = 0
        nn.init.normal_(self.purchase.weight, std=0.01)

    def forward(self, texts: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        bias = self.text_bias(texts).float() + self.own_bias(index)
        vectors = torch.cat([self.project(texts).float(), self.own(index), bias], dim=-1)
        return vectors, self.purchase(vectors).float()


class Block(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, states: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
        batch, length, width = states.shape
        qkv = self.qkv(self.before_attention(states)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        states = states + self.out(attended.transpose(1, 2).reshape(batch, length, width))
        return states + self.mlp(self.before_mlp(states))


class Repeats(nn.Module):
    """What having bought an item adds to its score, judged at the item's latest purchase before the moment."""

    def __init__(self, dim: int, width: int, hidden: int = 64):
        super().__init__()
        self.told = nn.Linear(len(HALF_LIVES) + TIMES, hidden)
        self.user, self.item = nn.Linear(width, hidden, bias=False), nn.Linear(dim, hidden, bias=False)
        self.out = nn.Linear(hidden, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        # starts as the logarithm of counts that halve in one to four months, above what popularity alone says
        self.counted = nn.Parameter(torch.tensor([0.0, 0.0, 0.0, 0.5, 0.5, 0.0]))
        self.base = nn.Parameter(torch.tensor([4.0]))

    def forward(
        self,
        states: torch.Tensor,
        vectors: torch.Tensor,
        ages: torch.Tensor,
        entries: torch.Tensor,
        last: torch.Tensor,
        query_ages: torch.Tensor,
    ) -> torch.Tensor:
        """float32[B, Q, H]: what is added at the latest known place of each item, 0 at all other places.

        Args:
            states: float32[B, Q, width], the user's at each moment; the others as ``UserTower.forward`` has them.
        """
        counts, times, span, following = _purchases(ages, entries)
        known = (entries >= 0)[:, None] & (following[:, None] > last.unsqueeze(-1))
        known = known & (torch.arange(entries.shape[1], device=entries.device) <= last.unsqueeze(-1))
        since = (ages[:, None] - query_ages.unsqueeze(-1)).clamp(min=0)
        decayed = torch.log(counts[:, None] * decays(since) + 1e-3)
        rhythm = torch.log1p(span / (times - 1).clamp(min=1))[:, None].expand_as(since)
        several = (times > 1).to(since.dtype)[:, None].expand_as(since)
        waited = torch.log1p(since)
        told = [torch.log1p(times)[:, None].expand_as(since), several, waited, rhythm, (waited - rhythm) * several]
        features = torch.cat([decayed, torch.stack(told, dim=-1)], dim=-1)
        hidden = self.told(features) + self.user(states)[:, :, None] + self.item(vectors)[:, None]
        bonus = self.out(F.gelu(hidden)).squeeze(-1).float() + decayed @ self.counted + self.base
        return torch.where(known, bonus, 0.0)


@torch.no_grad()
def _purchases(ages: torch.Tensor, entries: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Of the item at each place of a history, up to and including that place.

    Returns:
        float32[B, H, 6] purchases decayed to that purchase's day, float32[B, H] their number, float32[B, H] days since
        the first of them, and int64[B, H] the place of the item's next purchase, H where there is none.
    """
    length = entries.shape[1]
    places = torch.arange(length, device=entries.device)
    same = (entries[:, :, None] == entries[:, None]) & (entries >= 0)[:, None]
    upto = same & (places <= places[:, None])
    gaps = (ages[:, None] - ages[:, :, None]).clamp(min=0)
    counts = torch.stack([(torch.exp2(-gaps / each) * upto).sum(-1) for each in HALF_LIVES], dim=-1)
    following = torch.where(same & (places > places[:, None]), places, length).amin(-1)
    return counts, upto.sum(-1).to(ages.dtype), (gaps * upto).amax(-1), following


class UserTower(nn.Module):
    """Histories to user vectors; see ``forward``."""

    def __init__(self, text_dim: int, dim: int, purchase_dim: int, width: int, heads: int, layers: int, context: int):
        super().__init__()
        self.dim, self.context = dim, context
        self.read, self.gap, self.wait = nn.Linear(dim, width), nn.Linear(6, width), nn.Linear(6, width)
        self.start = nn.Parameter(torch.zeros(width))  # what an empty history is
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.say = nn.Linear(width, dim)  # its last entry scales the items' biases
        self.trust = nn.Linear(width, 1)  # scales the copied part
        # start near "what they bought most of late": counts that halve in one to four months, less than linear
        self.log_decay = nn.Parameter(torch.tensor([-4.0, -4.0, -2.0, -1.0, 0.0, -2.0]))
        self.log_power = nn.Parameter(torch.tensor([-0.3]))
        self.copy = nn.Parameter(torch.cat([torch.full((text_dim,), 0.02), torch.full((dim - 1 - text_dim,), 2.0)]))
        self.purchase = nn.Linear(dim, purchase_dim)
        self.repeats = Repeats(dim, width)
        for linear in (self.say, self.trust):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
        nn.init.normal_(self.purchase.weight, std=0.01)
        nn.init.constant_(self.purchase.bias, 1 / purchase_dim**0.5)

    def forward(
        self,
        vectors: torch.Tensor,
        ages: torch.Tensor,
        entries: torch.Tensor,
        last: torch.Tensor,
        query_ages: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """User vectors at Q moments of each history.

        Args:
            vectors: float32[B, H, D] item vectors, padded on the left.
            ages: float32[B, H] days.
            entries: int64[B, H], equal where the item is the same, -1 where padded.
            last: int64[B, Q] place of the latest event that moment q knows, within the last ``context`` ones.
            query_ages: float32[B, Q] age of the moment on the scale of ``ages``.

        Returns:
            float32[B, Q, D], float32[B, Q, P], and float32[B, Q, H] what the items of the history score above their
            inner products, 0 but for the latest place of each.
        """
        mask = entries >= 0
        states = self._attend(vectors, ages, mask, last)
        waited = (ages.gather(1, last) - query_ages).unsqueeze(-1)
        states = self.norm(states + self.wait(decays(waited.squeeze(-1))))
        copied = self._copied(vectors, ages, entries, last, query_ages) * (1 + self.trust(states).float()).clamp(min=0)
        said = self.say(states).float()
        scale = torch.exp(said[..., -1:].clamp(-4, 4))
        users = torch.cat([copied + said[..., :-1], scale], dim=-1)
        again = self.repeats(states, vectors, ages, entries, last, query_ages)
        return users, self.purchase(users).float(), again

    def _attend(
        self, vectors: torch.Tensor, ages: torch.Tensor, mask: torch.Tensor, last: torch.Tensor
    ) -> torch.Tensor:
        """The transformer's states at ``last``: [B, Q, width]."""
        length = vectors.shape[1]
        context = min(self.context, length)
        vectors, ages, mask = vectors[:, -context:], ages[:, -context:], mask[:, -context:]
        gaps = F.pad((ages[:, :-1] - ages[:, 1:]) * mask[:, :-1], (1, 0))
        inputs = self.read(vectors) + self.gap(decays(gaps))
        start = self.start.expand(vectors.shape[0], 1, -1).to(inputs.dtype)
        states = torch.cat([start, inputs], dim=1)
        seen = F.pad(mask, (1, 0), value=True)
        causal = torch.ones(context + 1, context + 1, dtype=torch.bool, device=mask.device).tril()
        visible = (causal & seen[:, None, :]).unsqueeze(1)
        for block in self.blocks:
            states = block(states, visible)
        # with no event known at that moment, the start token's state speaks
        place = torch.where(mask.any(1, keepdim=True), last - (length - context) + 1, 0)
        return states.gather(1, place.unsqueeze(-1).expand(-1, -1, states.shape[-1]))

    def _copied(
        self,
        vectors: torch.Tensor,
        ages: torch.Tensor,
        entries: torch.Tensor,
        last: torch.Tensor,
        query_ages: torch.Tensor,
    ) -> torch.Tensor:
        """Sum of known item vectors, an item that was bought with decayed count n weighing n^power: [B, Q, D - 1]."""
        places = torch.arange(vectors.shape[1], device=vectors.device)
        known = (entries >= 0)[:, None, :] & (places <= last.unsqueeze(-1))
        decay = (decays(ages.unsqueeze(1) - query_ages.unsqueeze(-1)) * self.log_decay.exp()).sum(-1) * known
        same = (entries[:, :, None] == entries[:, None]).to(decay.dtype)
        counts = (decay @ same).clamp(min=1e-4)
        weights = decay * counts ** (self.log_power.exp() - 1)
        return (weights @ vectors[..., :-1]) * self.copy


class Recommender(nn.Module):
    """Text encoder, item tower and user tower: the weights that one file of safetensors holds."""

    def __init__(self, text_encoder: nn.Module, items: int, recipe):
        super().__init__()
        self.texts = text_encoder
        self.items = ItemTower(text_encoder.width, items, recipe.text_dim, recipe.id_dim, recipe.purchase_dim)
        self.users = UserTower(
            recipe.text_dim, recipe.dim, recipe.purchase_dim, recipe.width, recipe.heads, recipe.layers, recipe.context
        )
