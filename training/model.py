"""The recommender: an item is its text and itself, a user is what they bought and when.

Item vector: projection of the text's encoding + vectors of its brand and categories + the item's own (0 when unknown),
and a bias. User vector: what a
causal transformer says at the latest event, plus a sum of the history's item vectors weighted by age and repetition.
Relevance is their inner product, and for an item of the user's history what having bought it adds: vectors of a few
hundred dimensions can't tell one of a hundred thousand items from its like, and groceries are bought again.
What else is said of a pair or of a user, the heads say of these vectors.
"""

import torch
from torch import nn
from torch.nn import functional as F

from training.heads import Heads
from training.repeats import Repeats, decays


class ItemTower(nn.Module):
    """An item is what its text and its tags (brand, categories) say, and itself, with a bias.

    How it sells at the moment of asking adds to the bias: that is no part of the item, ``pull`` times its trend.

    The first ``text_dim`` of a vector's D - 1 dimensions are the text's and the tags', the last ``id_dim`` the item's
    own; where the two overlap they are added.

    (float32[B, E] text encodings, int64[B, T] tags, 0 = none, int64[B] item index, 0 = unknown) -> float32[B, D].
    """

    def __init__(self, text_width: int, items: int, tags: int, dim: int, text_dim: int, id_dim: int):
        super().__init__()
        # what all texts share, which would drown what tells them apart
        self.register_buffer("centre", torch.zeros(text_width))
        self.project = nn.Linear(text_width, text_dim, bias=False)
        self.text_bias = nn.Linear(text_width, 1)
        self.tags = nn.EmbeddingBag(tags + 1, text_dim, mode="sum", padding_idx=0)
        self.own = nn.Embedding(items + 1, id_dim, padding_idx=0)
        self.own_bias = nn.Embedding(items + 1, 1, padding_idx=0)
        self.pull = nn.Parameter(torch.tensor([0.1, 0.3, 0.6]))  # what each trend counts
        self.behind_text, self.before_own = dim - 1 - text_dim, dim - 1 - id_dim
        for part in (self.project, self.own):
            nn.init.normal_(part.weight, std=0.02)
        # a tag that training never saw says nothing
        for part in (self.tags, self.own_bias, self.text_bias):
            nn.init.zeros_(part.weight)
        nn.init.zeros_(self.text_bias.bias)
        with torch.no_grad():
            self.own.weight[0] = 0

    def forward(self, texts: torch.Tensor, tags: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        texts = F.normalize(texts - self.centre, dim=-1)
        bias = self.text_bias(texts).float() + self.own_bias(index)
        told = F.pad(self.project(texts).float() + self.tags(tags), (0, self.behind_text))
        return torch.cat([told + F.pad(self.own(index), (self.before_own, 0)), bias], dim=-1)


class Block(nn.Module):
    """One pre-norm transformer layer; attention falls off with distance (ALiBi, Press et al. 2022, slopes learned)."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, nn.Dropout(dropout)
        self.fade = nn.Parameter(-1.5 * torch.arange(1.0, heads + 1))  # log of how fast attention falls with distance
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )

    def forward(self, states: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
        batch, length, width = states.shape
        qkv = self.qkv(self.before_attention(states)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        places = torch.arange(length, device=states.device)
        behind = (places[:, None] - places) * (places > 0)  # the start token is as near as can be, whatever the padding
        fading = -self.fade.exp()[:, None, None] * behind.to(states.dtype)
        attended = F.scaled_dot_product_attention(
            query, key, value, attn_mask=torch.where(visible, fading, -torch.inf).to(query.dtype)
        )
        states = states + self.dropout(self.out(attended.transpose(1, 2).reshape(batch, length, width)))
        return states + self.dropout(self.mlp(self.before_mlp(states)))


class UserTower(nn.Module):
    """Histories to user vectors; see ``forward``."""

    def __init__(
        self,
        dim: int,
        id_dim: int,
        width: int,
        heads: int,
        layers: int,
        context: int,
        *,
        dropout: float = 0.0,
        at_events: bool = False,
        repeats: int = 64,
        sales: bool = True,
    ):
        super().__init__()
        self.dim, self.context, self.at_events = dim, context, at_events
        self.read = nn.Sequential(nn.LayerNorm(dim - 1), nn.Linear(dim - 1, width))
        self.gap, self.wait = nn.Linear(6, width), nn.Linear(6, width)
        self.start = nn.Parameter(torch.zeros(width))  # what an empty history is
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.say = nn.Linear(width, dim)  # its last entry scales the items' biases
        # next to sums of items' vectors, one step of an optimizer in each of its weights would be a shout
        self.voice = nn.Parameter(torch.tensor([1.0 if at_events else 0.05]))
        self.trust = nn.Linear(width, 1)  # scales the copied part
        # start near "what they bought most of late": counts that halve in one to four months, less than linear
        self.log_decay = nn.Parameter(torch.tensor([-4.0, -4.0, -2.0, -1.0, 0.0, -2.0]))
        self.log_power = nn.Parameter(torch.tensor([-0.3]))
        # what was bought says more than what it is called
        self.copy = nn.Parameter(torch.cat([torch.full((dim - 1 - id_dim,), 0.02), torch.full((id_dim,), 2.0)]))
        self.repeats = Repeats(repeats, sales=sales)
        nn.init.orthogonal_(self.read[1].weight)
        nn.init.zeros_(self.say.weight)
        if (
            at_events
        ):  # reading and saying start as each other's inverse: what follows an item is at first what is like it
            with torch.no_grad():
                self.say.weight[: dim - 1] = self.read[1].weight.T
        nn.init.zeros_(self.trust.weight)
        for linear in (self.say, self.trust):
            nn.init.zeros_(linear.bias)

    def forward(
        self,
        vectors: torch.Tensor,
        ages: torch.Tensor,
        entries: torch.Tensor,
        last: torch.Tensor,
        query_ages: torch.Tensor,
        drift: torch.Tensor | None = None,
        sales: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """User vectors at Q moments of each history.

        Args:
            vectors: float32[B, H, D] item vectors, padded on the left.
            ages: float32[B, H] days.
            entries: int64[B, H], equal where the item is the same, -1 where padded.
            last: int64[B, Q] place of the latest event that moment q knows, within the last ``context`` ones.
            query_ages: float32[B, Q] age of the moment on the scale of ``ages``; where every event asks for the one
                after it (``at_events``), the moment is that of its latest event, whatever stands here.
            drift: float32[B, Q, H] how much above its vector's bias each item's was at each moment; None is nothing.
            sales: float32[B, Q or 1, H, SALES] of the items at the moments; None where no repeats are learned.

        Returns:
            float32[B, Q, D], and float32[B, Q, H] what the items of the history score above their
            inner products, 0 but for the latest place of each.
        """
        if self.at_events:
            query_ages = ages.gather(1, last)
        mask = entries >= 0
        states = self._attend(vectors, ages, mask, last)
        waited = (ages.gather(1, last) - query_ages).unsqueeze(-1)
        states = self.norm(states + self.wait(decays(waited.squeeze(-1))))
        copied = self.dropout(self._copied(vectors, ages, entries, last, query_ages))
        copied = copied * (1 + self.trust(states).float()).clamp(min=0)
        said = self.say(states).float() * self.voice
        scale = torch.exp(said[..., -1:].clamp(-4, 4))
        users = torch.cat([copied + said[..., :-1], scale], dim=-1)
        return users, self.repeats(vectors, ages, entries, last, query_ages, users, drift, sales)

    def _attend(
        self, vectors: torch.Tensor, ages: torch.Tensor, mask: torch.Tensor, last: torch.Tensor
    ) -> torch.Tensor:
        """The transformer's states at ``last``: [B, Q, width]."""
        length = vectors.shape[1]
        context = min(self.context, length)
        vectors, ages, mask = vectors[:, -context:], ages[:, -context:], mask[:, -context:]
        gaps = F.pad((ages[:, :-1] - ages[:, 1:]) * mask[:, :-1], (1, 0))
        inputs = self.read(vectors[..., :-1]) + self.gap(decays(gaps))
        start = self.start.expand(vectors.shape[0], 1, -1).to(inputs.dtype)
        states = self.dropout(torch.cat([start, inputs], dim=1))
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
    """Text encoder, item tower, user tower and heads: the weights that one file of safetensors holds."""

    def __init__(self, text_encoder: nn.Module, items: int, tags: int, recipe):
        super().__init__()
        self.texts = text_encoder
        self.items = ItemTower(text_encoder.width, items, tags, recipe.dim, recipe.text_dim, recipe.id_dim)
        self.heads = Heads(text_encoder.width, recipe.dim, items, recipe.head_dim)
        self.users = UserTower(
            recipe.dim,
            recipe.id_dim,
            recipe.width,
            recipe.heads,
            recipe.layers,
            recipe.context,
            dropout=recipe.dropout,
            at_events=recipe.predict == "next",
            repeats=recipe.repeats,
            sales=recipe.counted,
        )
