"""The recommender: an item is its text and itself, a user is what they bought and when.

Item vector: [projection of the text's encoding | the item's own vector (0 when unknown) | bias]. User vector: what a
causal transformer says at the latest event, plus a sum of the history's item vectors weighted by age and repetition,
because groceries are bought again. Relevance is their inner product.
"""

import torch
from torch import nn
from torch.nn import functional as F

HALF_LIVES = (0.25, 2.0, 8.0, 32.0, 128.0, 512.0)  # days: same basket, same trip, a week, a month, a season, a year
SAME = 0.9999  # cosine above which two history entries are the same item; equal items have equal vectors


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
        for linear in (self.say, self.trust):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
        nn.init.normal_(self.purchase.weight, std=0.01)
        nn.init.constant_(self.purchase.bias, 1 / purchase_dim**0.5)

    def forward(
        self,
        vectors: torch.Tensor,
        ages: torch.Tensor,
        mask: torch.Tensor,
        last: torch.Tensor,
        query_ages: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """User vectors at Q moments of each history.

        Args:
            vectors: float32[B, H, D] item vectors, padded on the left.
            ages: float32[B, H] days.
            mask: bool[B, H], False where padded.
            last: int64[B, Q] place of the latest event that moment q knows, within the last ``context`` ones.
            query_ages: float32[B, Q] age of the moment on the scale of ``ages``.

        Returns:
            float32[B, Q, D] and float32[B, Q, P].
        """
        states = self._attend(vectors, ages, mask, last)
        waited = (ages.gather(1, last) - query_ages).unsqueeze(-1)
        states = self.norm(states + self.wait(decays(waited.squeeze(-1))))
        copied = self._copied(vectors, ages, mask, last, query_ages) * (1 + self.trust(states).float()).clamp(min=0)
        said = self.say(states).float()
        scale = torch.exp(said[..., -1:].clamp(-4, 4))
        users = torch.cat([copied + said[..., :-1], scale], dim=-1)
        return users, self.purchase(users).float()

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
        mask: torch.Tensor,
        last: torch.Tensor,
        query_ages: torch.Tensor,
    ) -> torch.Tensor:
        """Sum of known item vectors, an item that was bought with decayed count n weighing n^power: [B, Q, D - 1]."""
        places = torch.arange(vectors.shape[1], device=vectors.device)
        known = mask[:, None, :] & (places <= last.unsqueeze(-1))
        decay = (decays(ages.unsqueeze(1) - query_ages.unsqueeze(-1)) * self.log_decay.exp()).sum(-1) * known
        directions = F.normalize(vectors[..., :-1].detach(), dim=-1)
        same = ((directions @ directions.transpose(1, 2)) > SAME).to(decay.dtype)
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
