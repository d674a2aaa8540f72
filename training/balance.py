"""How much each task's loss counts in a step.

``fixed``: what the recipe says. ``uncertainty``: each loss over what is learned to be its noise (Kendall, Gal and
Cipolla 2018). ``mgda``: the shortest mean of the tasks' directions, along which none of them loses (Désidéri 2012).
``nash``: the bargain that makes the product of what the tasks gain largest (Navon et al. 2022).

The gradients that are compared are those of what the tasks share, users' and items' vectors, not of the weights beneath
(Sener and Koltun 2018): one pass back through the model is enough, whatever the number of tasks.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import nnls
from torch import nn

METHODS = ("fixed", "uncertainty", "mgda", "nash")
RIDGE = 1e-9  # keeps gradients that are sums of each other from being singular
STEPS = 100  # of Newton's method, which takes about ten


class Balance(nn.Module):
    """Weighs the losses of tasks, the first of which is the main one.

    Args:
        method: one of METHODS.
        tasks: how many.
        side: what each but the first counts under ``fixed``.
    """

    def __init__(self, method: str, tasks: int, side: float):
        super().__init__()
        if method not in METHODS:
            raise ValueError(f"balance is {method!r}; there are: {', '.join(METHODS)}")
        self.method, self.side = method, side
        if method == "uncertainty":
            self.log_noise = nn.Parameter(torch.zeros(tasks))

    def forward(self, losses: torch.Tensor, shared: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss to descend, and what each task counts in it, float32[tasks].

        A task without any label in the micro-batch, whose loss is exactly 0, takes no part.

        Args:
            losses: float32[tasks].
            shared: what all of them are computed from.
        """
        present = losses.detach() != 0
        if self.method == "uncertainty":
            weights = torch.exp(-self.log_noise)
            return (weights * losses + self.log_noise * present).sum(), (weights * present).detach()
        if self.method == "fixed":
            weights = torch.full_like(losses, self.side)
            weights[0] = 1.0
        else:
            weights = losses.new_tensor(bargain(self.method, _products(losses, present, shared))) * present
        return (weights * losses).sum(), weights


def bargain(method: str, products: np.ndarray) -> np.ndarray:
    """Weights float64[K] of the tasks whose gradients have the inner products ``products`` float64[K, K].

    They add up to the number of tasks. One without a gradient is in nobody's way, and gets 1: so a head learns that
    starts at zero.
    """
    moving = np.flatnonzero(np.diag(products) > 0)
    weights = np.ones(len(products))
    if len(moving):
        # of gradients of one length: the shortest mean would be little but the shortest gradient
        lengths = np.sqrt(np.diag(products)[moving])
        inner = products[np.ix_(moving, moving)] / np.outer(lengths, lengths) + RIDGE * np.eye(len(moving))
        found = {"mgda": _shortest, "nash": _nash}[method](inner) / lengths
        weights[moving] = found * len(moving) / found.sum()
    return weights


def _shortest(inner: np.ndarray) -> np.ndarray:
    """The convex combination of least length is, up to its sum, the w >= 0 that makes w'Gw / 2 - sum(w) least."""
    root = np.linalg.cholesky(inner)
    return nnls(root.T, np.linalg.solve(root, np.ones(len(inner))))[0]


def _nash(inner: np.ndarray) -> np.ndarray:
    """The w > 0 with Gw = 1 / w: where w'Gw / 2 - sum(log w), which is self-concordant, is least (damped Newton)."""
    weights = 1 / np.sqrt(np.diag(inner))
    for _ in range(STEPS):
        slope = inner @ weights - 1 / weights
        step = np.linalg.solve(inner + np.diag(weights**-2), slope)
        decrement = np.sqrt(slope @ step)
        if decrement < 1e-10:
            break
        weights = weights - step / (1 + decrement)
    return weights


def _products(losses: torch.Tensor, present: torch.Tensor, shared: Sequence[torch.Tensor]) -> np.ndarray:
    """Inner products of the tasks' gradients, float64[K, K]."""
    rows = []
    for loss, there in zip(losses, present.tolist(), strict=True):
        found = (
            torch.autograd.grad(loss, shared, retain_graph=True, allow_unused=True) if there else [None] * len(shared)
        )
        parts = [torch.zeros_like(each) if mine is None else mine for mine, each in zip(found, shared, strict=True)]
        rows.append(torch.cat([part.flatten().float() for part in parts]))
    gradients = torch.stack(rows)
    return (gradients @ gradients.T).double().cpu().numpy()
