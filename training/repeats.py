"""Buying again: what counts, rhythm and the time since say of an item that the user has bought before."""

import torch
from torch import nn
from torch.nn import functional as F

HALF_LIVES = (0.25, 2.0, 8.0, 32.0, 128.0, 512.0)  # days: same basket, same trip, a week, a month, a season, a year
TIMES = 5  # features of a repeat beside its decayed counts


def decays(ages: torch.Tensor) -> torch.Tensor:
    """2^(-age / half-life) for each of HALF_LIVES: [...] days -> [..., 6]."""
    return torch.exp2(-ages.clamp(min=0).unsqueeze(-1) / ages.new_tensor(HALF_LIVES))


class Repeats(nn.Module):
    """What having bought an item adds to its score, judged at the item's latest purchase before the moment."""

    def __init__(self, dim: int, width: int, hidden: int = 64):
        super().__init__()
        self.hidden = hidden
        if hidden:
            self.told = nn.Linear(len(HALF_LIVES) + TIMES, hidden)
            self.user, self.item = nn.Linear(width, hidden, bias=False), nn.Linear(dim - 1, hidden, bias=False)
            self.norm, self.out = nn.LayerNorm(hidden), nn.Linear(hidden, 1)
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)
        # where groceries are bought again, starts as the logarithm of counts that halve in one to four months, above
        # what popularity alone says, and without what the vectors say, for they blur an item with its like
        self.counted = nn.Parameter(torch.tensor([0.0, 0.0, 0.0, 0.5, 0.5, 0.0]))
        self.base = nn.Parameter(torch.tensor([10.0 if hidden else 0.0]))
        # share of the inner product that counts for a repeat; where hardly anything is bought again, all of it
        self.alike = nn.Parameter(torch.tensor([0.0 if hidden else 1.0]))

    def forward(
        self,
        states: torch.Tensor,
        vectors: torch.Tensor,
        ages: torch.Tensor,
        entries: torch.Tensor,
        last: torch.Tensor,
        query_ages: torch.Tensor,
        users: torch.Tensor,
        drift: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """float32[B, Q, H]: what is added at the latest known place of each item, 0 at all other places.

        Args:
            states: float32[B, Q, width], the user's at each moment; the others as ``UserTower.forward`` has them.
            users: float32[B, Q, D], whose inner products with ``vectors`` the sum replaces, ``drift`` included.
        """
        counts, times, span, following = _purchases(ages, entries)
        known = (entries >= 0)[:, None] & (following[:, None] > last.unsqueeze(-1))
        known = known & (torch.arange(entries.shape[1], device=entries.device) <= last.unsqueeze(-1))
        since = (ages[:, None] - query_ages.unsqueeze(-1)).clamp(min=0)
        decayed = torch.log(counts[:, None] * decays(since) + 1e-3)
        product = users @ vectors.transpose(1, 2)
        if drift is not None:
            product = product + users[..., -1:] * drift
        bonus = decayed @ self.counted + self.base + (self.alike - 1) * product
        if self.hidden:
            bonus = bonus + self._judged(states, vectors, decayed, since, times, span)
        return torch.where(known, bonus, 0.0)

    def _judged(self, states, vectors, decayed, since, times, span) -> torch.Tensor:
        """What the user's state, the item and its rhythm add to the counts: float32[B, Q, H]."""
        rhythm = torch.log1p(span / (times - 1).clamp(min=1))[:, None].expand_as(since)
        several = (times > 1).to(since.dtype)[:, None].expand_as(since)
        waited = torch.log1p(since)
        told = [torch.log1p(times)[:, None].expand_as(since), several, waited, rhythm, (waited - rhythm) * several]
        features = torch.cat([decayed, torch.stack(told, dim=-1)], dim=-1)
        hidden = self.told(features) + self.user(states)[:, :, None] + self.item(vectors[..., :-1])[:, None]
        return self.out(F.gelu(self.norm(hidden))).squeeze(-1).float()


@torch.no_grad()
def _purchases(ages: torch.Tensor, entries: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Of the item at each place of a history, up to and including that place.

    Sorted by item, a place's figures follow from those of the item's purchase before it.

    Returns:
        float32[B, H, 6] purchases decayed to that purchase's day, float32[B, H] their number, float32[B, H] days since
        the first of them, and int64[B, H] the place of the item's next purchase, H where there is none.
    """
    length = entries.shape[1]
    items, order = entries.sort(dim=1, stable=True)
    times = ages.gather(1, order)
    again = F.pad((items[:, 1:] == items[:, :-1]) & (items[:, 1:] >= 0), (1, 0))
    gaps = F.pad((times[:, :-1] - times[:, 1:]).clamp(min=0), (1, 0)) * again
    kept = torch.cat([decays(gaps), torch.ones_like(gaps).unsqueeze(-1).expand(-1, -1, 2)], dim=-1)
    added = torch.cat([(items >= 0).to(gaps.dtype).unsqueeze(-1).expand(-1, -1, 7), gaps.unsqueeze(-1)], dim=-1)
    figures = _carried(kept * again.unsqueeze(-1), added)
    later = F.pad(torch.where(again[:, 1:], order[:, 1:], length), (0, 1), value=length)
    figures = torch.empty_like(figures).scatter(1, order.unsqueeze(-1).expand_as(figures), figures)
    following = torch.empty_like(later).scatter(1, order, later)
    return figures[..., :6], figures[..., 6], figures[..., 7], following


def _carried(kept: torch.Tensor, added: torch.Tensor) -> torch.Tensor:
    """x[i] = kept[i] * x[i - 1] + added[i] along dimension 1 of float32[B, H, F], in log2(H) passes.

    The recurrence is associative (Blelloch 1990, section 1.4): pass by pass each place takes in twice as many before it.
    """
    shift, length = 1, kept.shape[1]
    while shift < length:
        before = F.pad(added[:, :-shift], (0, 0, shift, 0))
        added = added + kept * before
        kept = kept * F.pad(kept[:, :-shift], (0, 0, shift, 0))
        shift *= 2
    return added
