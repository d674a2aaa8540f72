"""The next-item loss: a softmax over candidates, none of whose logits are kept."""

import torch
from torch.nn import functional as F

QUERIES_AT_ONCE, CANDIDATES_AT_ONCE = 512, 3072  # blocks that stay in a core's cache while they are made


class _NextItemLoss(torch.autograd.Function):
    """Loss and gradients in one pass over blocks of queries, so that no more than a block's logits are ever held.

    The logits of all queries are by far the largest arrays of a step: keeping them for a backward pass costs more time
    in moving memory than in arithmetic.
    """

    @staticmethod
    def forward(ctx, users, vectors, again, drift, moments, places, seen, log_weight, targets, dtype, focus, explore):
        width, length = vectors.shape[1], len(vectors)
        reduced = _even(vectors.to(dtype))
        real, wanted = targets >= 0, targets.clamp(min=0)
        new = real & ~_among(wanted, places, seen)
        shares = [(_shares(real), 1.0)] + ([(_shares(new), explore)] if explore else [])
        to_users, to_again = torch.empty_like(users), torch.empty_like(again)
        to_vectors, to_drift = users.new_zeros(reduced.shape), torch.zeros_like(drift)
        loss = users.new_zeros(())
        for low in range(0, len(users), QUERIES_AT_ONCE):
            rows = slice(low, low + QUERIES_AT_ONCE)
            mine, where = _even(users[rows].to(dtype)), places[rows]
            logits = users.new_empty(len(mine), length)
            for first in range(0, length, CANDIDATES_AT_ONCE):
                part = slice(first, first + CANDIDATES_AT_ONCE)
                torch.add(mine @ reduced[part].T, log_weight[part], out=logits[:, part])
            logits.scatter_add_(1, where, again[rows])
            if len(drift):
                moved = drift[moments[rows]]
                logits.addcmul_(moved, users[rows, -1:])
            slope = None
            for share, weight in shares:
                if slope is not None:  # no item that the user had before
                    logits.scatter_add_(1, where, torch.zeros_like(again[rows]).masked_fill_(seen[rows], -torch.inf))
                cost, more = _softmax(logits, wanted[rows], weight * share[rows], focus)
                loss += cost
                slope = more if slope is None else slope.add_(more)
            to_again[rows] = slope.gather(1, where)
            if len(drift):
                to_drift.index_add_(0, moments[rows], slope * users[rows, -1:])
                along = (slope * moved).sum(-1)
            slope = slope.to(dtype)
            to_users[rows] = (slope @ reduced)[:, :width].float()
            if len(drift):
                to_users[rows, -1] += along
            to_vectors += slope.T @ mine
        ctx.save_for_backward(to_users, to_vectors[:, :width], to_again, to_drift)
        return loss

    @staticmethod
    def backward(ctx, scale):
        return *(each * scale for each in ctx.saved_tensors), *[None] * 8


def _even(rows: torch.Tensor) -> torch.Tensor:
    """With columns of zeros up to a multiple of 16: products of odd widths take half as long again."""
    return F.pad(rows, (0, -rows.shape[1] % 16))


def _among(wanted: torch.Tensor, places: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """bool[N, K]: whether each of ``wanted`` stands in ``places`` where ``seen``."""
    known = torch.where(seen, places, -1)
    return torch.stack([(each.unsqueeze(-1) == known).any(-1) for each in wanted.unbind(1)], dim=1)


def _shares(real: torch.Tensor) -> torch.Tensor:
    """float32[N, K]: what each target counts in the mean over queries of the mean over their targets."""
    return real / (real.sum(-1, keepdim=True).clamp(min=1) * real.any(-1).sum().clamp(min=1))


def _softmax(
    logits: torch.Tensor, wanted: torch.Tensor, share: torch.Tensor, focus: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The shares' sum of -log softmax over the best ``focus`` candidates, and its slope in the logits."""
    if 0 < focus < logits.shape[1]:
        outside = logits < logits.topk(focus, sorted=False).values.amin(-1, keepdim=True)
        share = share * ~outside.gather(1, wanted)
        logits = logits.masked_fill(outside, -torch.inf)
    normal = logits.logsumexp(-1, keepdim=True)
    cost = -(torch.where(share == 0, 0.0, logits.gather(1, wanted) - normal) * share).sum()
    slope = (logits - normal).exp_().mul_(share.sum(-1, keepdim=True)).scatter_add_(1, wanted, -share)
    return cost, slope


def next_item_loss(
    users: torch.Tensor,
    vectors: torch.Tensor,
    again: torch.Tensor,
    drift: torch.Tensor,
    moments: torch.Tensor,
    places: torch.Tensor,
    seen: torch.Tensor,
    log_weight: torch.Tensor,
    targets: torch.Tensor,
    dtype: torch.dtype = torch.float32,
    focus: int = 0,
    explore: float = 0.0,
) -> torch.Tensor:
    """Mean over queries of the mean over their targets of -log softmax, in nats.

    Lists may be asked for items that the user never had. Among all items those that are bought again take nearly all of
    the probability, and nearly all of what is learned: so the same loss over new items alone is added.

    Args:
        users: float32[N, D] of the queries.
        vectors: float32[C, D] of the candidates.
        again: float32[N, H], what is added to the logits of the candidates ``places`` int64[N, H].
        drift: float32[M, C], how much above those in ``vectors`` the candidates' biases were at each of M moments; M is
            0 where these are of all time.
        moments: int64[N], of each query.
        seen: bool[N, H], which of ``places`` are in the history that the query knows; the others are padding or later.
        log_weight: float32[C], log of how many items a candidate stands for: the sum over the candidates is then an
            unbiased estimate of the one over all items (importance sampling).
        targets: int64[N, K] places in C, or -1; queries without any don't count.
        dtype: of the matrix products.
        focus: how many candidates, those that score best, a query chooses between; targets that are not among them
            don't count. 0 is all of them. Far down, likelihood is gained by telling a user's likely items less from
            others, which lists pay for at their top.
        explore: what the loss over items that are new to the user counts beside the loss over all.
    """
    return _NextItemLoss.apply(
        users, vectors, again, drift, moments, places, seen, log_weight, targets, dtype, focus, explore
    )
