"""Buying again: what counts, rhythm and the time since say of an item that the user has bought before."""

import torch
from torch import nn
from torch.nn import functional as F

from training.trends import SALES

HALF_LIVES = (0.25, 2.0, 8.0, 32.0, 128.0, 512.0)  # days: same basket, same trip, a week, a month, a season, a year
VISITS = (1.0, 3.0, 10.0, 30.0, 100.0)  # half-lives on the user's own clock, whose unit is a visit
RHYTHM = 8  # features of a repeat's number and rhythm
PACE = 2  # features of the user's visits


def decays(ages: torch.Tensor, half_lives: tuple[float, ...] = HALF_LIVES) -> torch.Tensor:
    """2^(-age / half-life) for each: [...] days -> [..., 6]."""
    return torch.exp2(-ages.clamp(min=0).unsqueeze(-1) / ages.new_tensor(half_lives))


class Repeats(nn.Module):
    """What having bought an item adds to its score, judged at the item's latest purchase before the moment.

    With ``sales`` also by how it sells.
    """

    def __init__(self, hidden: int = 64, *, sales: bool = True):
        super().__init__()
        self.hidden, self.reads_sales = hidden, sales
        if hidden:
            features = len(HALF_LIVES) + len(VISITS) + RHYTHM + PACE
            self.told = nn.Linear(features + (SALES if sales else 0), hidden)
            self.norm, self.deep, self.out = nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 1)
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
        vectors: torch.Tensor,
        ages: torch.Tensor,
        entries: torch.Tensor,
        last: torch.Tensor,
        query_ages: torch.Tensor,
        users: torch.Tensor,
        drift: torch.Tensor | None = None,
        sales: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """float32[B, Q, H]: what is added at the latest known place of each item, 0 at all other places.

        Args:
            users: float32[B, Q, D], whose inner products with ``vectors`` the sum replaces, ``drift`` included;
                the others as ``UserTower.forward`` has them.
        """
        product = users @ vectors.transpose(1, 2)
        if drift is not None:
            product = product + users[..., -1:] * drift
        scores, known = self.judged(ages, entries, last, query_ages, sales)
        return torch.where(known, scores + (self.alike - 1) * product, 0.0)

    def judged(
        self,
        ages: torch.Tensor,
        entries: torch.Tensor,
        last: torch.Tensor,
        query_ages: torch.Tensor,
        sales: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """float32[B, Q, H] by counts, rhythm and sales alone, and bool[B, Q, H] at which places it counts."""
        counts, visited, times, apart, between, visit, following = _purchases(ages, entries)
        places = torch.arange(entries.shape[1], device=entries.device)
        known = (entries >= 0)[:, None] & (following[:, None] > last.unsqueeze(-1)) & (places <= last.unsqueeze(-1))
        since = (ages[:, None] - query_ages.unsqueeze(-1)).clamp(min=0)
        decayed = torch.log(counts[:, None] * decays(since) + 1e-3)
        scores = decayed @ self.counted + self.base
        if not self.hidden:
            return scores, known
        upto = visit.gather(1, last)
        passed = (upto.unsqueeze(-1) - visit[:, None]).clamp(min=0)
        several = (times > 1).to(since.dtype)[:, None].expand_as(since)
        usual = [torch.log1p(each / (times - 1).clamp(min=1))[:, None].expand_as(since) for each in (apart, between)]
        waited = [torch.log1p(since), torch.log1p(passed)]
        late = [(mine - other) * several for mine, other in zip(waited, usual, strict=True)]
        rhythm = [torch.log1p(times)[:, None].expand_as(since), several, *usual, *waited, *late]
        first = (ages * (entries >= 0)).amax(1, keepdim=True)
        gap = torch.log1p((first - ages.gather(1, last)).clamp(min=0) / upto.clamp(min=1))
        pace = [gap, torch.log1p((ages.gather(1, last) - query_ages).clamp(min=0))]
        pace = [each.unsqueeze(-1).expand_as(since) for each in pace]
        features = torch.cat(
            [
                decayed,
                torch.log(visited[:, None] * decays(passed, VISITS) + 1e-3),
                torch.stack([*rhythm, *pace], dim=-1),
                *([sales.expand(*since.shape, SALES)] if self.reads_sales else []),
            ],
            dim=-1,
        )
        hidden = F.gelu(self.deep(F.gelu(self.norm(self.told(features)))))
        return scores + self.out(hidden).squeeze(-1).float(), known


@torch.no_grad()
def _purchases(ages: torch.Tensor, entries: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Of the item at each place of a history, up to and including that place.

    Sorted by item, a place's figures follow from those of the item's purchase before it.

    Returns:
        float32[B, H, 6] purchases decayed to that purchase's day, float32[B, H, 5] decayed to its visit, float32[B, H]
        their number, days and visits since the first of them, the number of the place's visit, counted from 0, and
        int64[B, H] the place of the item's next purchase, H where there is none.
    """
    length, real = entries.shape[1], entries >= 0
    visit = (F.pad(ages[:, 1:] != ages[:, :-1], (1, 0)) & F.pad(real[:, :-1], (1, 0))).cumsum(1).to(ages.dtype)
    items, order = entries.sort(dim=1, stable=True)
    again = F.pad((items[:, 1:] == items[:, :-1]) & (items[:, 1:] >= 0), (1, 0))
    clocks = [-ages.gather(1, order), visit.gather(1, order)]
    gaps = [F.pad((each[:, 1:] - each[:, :-1]).clamp(min=0), (1, 0)) * again for each in clocks]
    one = torch.ones_like(gaps[0]).unsqueeze(-1)
    kept = torch.cat([decays(gaps[0]), decays(gaps[1], VISITS), one, one, one], dim=-1) * again.unsqueeze(-1)
    counted = len(HALF_LIVES) + len(VISITS) + 1
    added = torch.cat([(one * (items >= 0).unsqueeze(-1)).expand(-1, -1, counted), torch.stack(gaps, dim=-1)], dim=-1)
    figures = _carried(kept, added)
    figures = torch.empty_like(figures).scatter(1, order.unsqueeze(-1).expand_as(figures), figures)
    later = F.pad(torch.where(again[:, 1:], order[:, 1:], length), (0, 1), value=length)
    following = torch.empty_like(later).scatter(1, order, later)
    counts, visited, *others = figures.split([len(HALF_LIVES), len(VISITS), 1, 1, 1], dim=-1)
    return counts, visited, *(each.squeeze(-1) for each in others), visit, following


def _carried(kept: torch.Tensor, added: torch.Tensor) -> torch.Tensor:
    """x[i] = kept[i] * x[i - 1] + added[i] along dimension 1 of float32[B, H, F], in log2(H) passes.

    The recurrence is associative (Blelloch 1990, section 1.4): with each pass a place takes in twice as many before it.
    """
    shift, length = 1, kept.shape[1]
    while shift < length:
        before = F.pad(added[:, :-shift], (0, 0, shift, 0))
        added = added + kept * before
        kept = kept * F.pad(kept[:, :-shift], (0, 0, shift, 0))
        shift *= 2
    return added
