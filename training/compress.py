"""Smaller models and vectors: rows of 8-bit whole numbers, each with one scale.

A row's scale is its largest magnitude over 127, so that rounding moves no entry by more than half a scale (symmetric
quantisation: Jacob et al. 2018, one scale an output row as in Krishnamoorthi 2018, section 3.1).
"""

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

LARGEST = 127  # of the 256 values of a byte, -128 stays free, so that a row and its negative are each other's mirror


class Int8Linear(nn.Module):
    """``nn.Linear`` with ``weight`` int8[out, in] and ``scale`` float32[out, 1], multiplied before the input is."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        weight, scale = int8_rows(linear.weight)
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale.unsqueeze(1))
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return F.linear(states, self.weight * self.scale, self.bias)


class DynamicInt8Linear(Int8Linear):
    """Likewise, with each row of the input rounded to 8 bits too: whole numbers are multiplied, exactly.

    Meant for processors that have an instruction for it (VNNI, AMX); on others torch does it in plain loops.
    """

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        rows, scale = int8_rows(states.reshape(-1, states.shape[-1]))
        products = torch._int_mm(rows, self.weight.T).float().mul_(self.scale.T).mul_(scale.unsqueeze(1))
        if self.bias is not None:
            products = products.add_(self.bias)
        return products.view(*states.shape[:-1], self.weight.shape[0])


class Int8Embedding(nn.Module):
    """``nn.Embedding`` with ``weight`` int8[rows, width] and ``scale`` float32[rows, 1]."""

    def __init__(self, embedding: nn.Embedding):
        super().__init__()
        weight, scale = int8_rows(embedding.weight)
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale.unsqueeze(1))

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        return F.embedding(places, self.weight) * F.embedding(places, self.scale)


def compressed(module: nn.Module, *, dynamic: bool = False) -> nn.Module:
    """A copy for inference whose linear layers and embeddings hold int8; the module stays as it is.

    Rows of one entry stay float32, for they would grow. Layers of other kinds, such as norms, are copied.

    Args:
        dynamic: whether linear layers round their inputs too.

    Raises:
        ValueError: if a weight is not finite.
    """
    for name, weight in module.named_parameters():
        if not weight.isfinite().all():
            raise ValueError(f"{name} holds a value that is not finite; an int8 copy of it would mean nothing")
    kinds = {nn.Linear: DynamicInt8Linear if dynamic else Int8Linear, nn.Embedding: Int8Embedding}
    # what deepcopy finds here it takes for copied, so the float32 weights never are
    copied = {
        id(each): kinds[type(each)](each)
        for each in module.modules()
        if type(each) in kinds and each.weight.shape[1] > 1
    }
    return copy.deepcopy(module, copied).requires_grad_(False)


@torch.no_grad()
def int8_rows(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """int8[n, d] and float32[n]: a row is the one times the other, to half of the other. Of zeros the one is 0."""
    matrix = matrix.float()
    scale = (matrix.abs().amax(1) / LARGEST).clamp(min=torch.finfo(torch.float32).tiny)
    return (matrix / scale.unsqueeze(1)).round().to(torch.int8), scale


@dataclass(frozen=True)
class Vectors:
    """n item vectors of d dimensions, the last of which, the item's bias, stays float32.

    It says how much an item sells, is ten times as large as the other entries, and decides more of a score than any of
    them: of one scale with it, they would keep a few bits.

    Args:
        values: int8, bfloat16 or float32[n, d - 1].
        scale: float32[n], times which int8 values count; None for other types.
        bias: float32[n].
    """

    values: torch.Tensor
    scale: torch.Tensor | None
    bias: torch.Tensor

    @property
    def bytes_per_item(self) -> float:
        parts = [part for part in (self.values, self.scale, self.bias) if part is not None]
        return sum(part.nbytes for part in parts) / len(self.bias)

    def __getitem__(self, rows: slice | torch.Tensor) -> "Vectors":
        return Vectors(self.values[rows], None if self.scale is None else self.scale[rows], self.bias[rows])

    def decoded(self) -> torch.Tensor:
        """float32[n, d]."""
        values = self.values.float()
        if self.scale is not None:
            values = values * self.scale.unsqueeze(1)
        return torch.cat([values, self.bias.unsqueeze(1)], dim=1)

    def products(self, users: torch.Tensor) -> torch.Tensor:
        """float32[B, n]: inner products with ``users``, float32[B, d], which stay as they are."""
        products = users[:, :-1] @ self.values.float().T
        if self.scale is not None:
            products.mul_(self.scale)
        return products.addcmul_(users[:, -1:], self.bias)

    def rough(self, users: torch.Tensor) -> torch.Tensor:
        """float32[B, n]: likewise, but the users too are rounded to the items' type, which multiplies faster."""
        if self.values.dtype == torch.int8:
            rows, scale = int8_rows(users[:, :-1])
            products = torch._int_mm(rows, self.values.T).float().mul_(self.scale).mul_(scale.unsqueeze(1))
        else:
            products = (users[:, :-1].to(self.values.dtype) @ self.values.T).float()
        return products.addcmul_(users[:, -1:], self.bias)

    def error(self, users: torch.Tensor) -> torch.Tensor:
        """float32[B]: how far at most :meth:`rough` is from :meth:`products` for any of the items.

        By Cauchy and Schwarz: what rounding takes from a user times the longest item; and what products and sums are
        rounded by, float32 once a dimension (Higham 2002, section 3.1), bfloat16 once when the sum is done.
        """
        mine, items = users[:, :-1], self.decoded()
        if self.values.dtype == torch.int8:
            rows, scale = int8_rows(mine)
            lost = mine - rows * scale.unsqueeze(1)
        else:
            lost = mine - mine.to(self.values.dtype)
        rounding = (users.shape[1] + 2) * 2.0**-23 + (2.0**-8 if self.values.dtype == torch.bfloat16 else 0.0)
        longest, whole = items[:, :-1].norm(dim=1).max(), items.norm(dim=1).max()
        return lost.norm(dim=1) * longest + rounding * users.norm(dim=1) * whole


def int8_vectors(matrix: torch.Tensor) -> Vectors:
    """float32[n, d] item vectors in a quarter of the bytes, and eight more a vector.

    Raises:
        ValueError: if a value is not finite.
    """
    return Vectors(*int8_rows(_finite(matrix)[:, :-1]), matrix[:, -1].clone())


def bfloat16_vectors(matrix: torch.Tensor) -> Vectors:
    """float32[n, d] item vectors in half of the bytes.

    Raises:
        ValueError: if a value is not finite.
    """
    return Vectors(_finite(matrix)[:, :-1].bfloat16(), None, matrix[:, -1].clone())


def _finite(matrix: torch.Tensor) -> torch.Tensor:
    if not matrix.isfinite().all():
        row, column = (~matrix.isfinite()).nonzero()[0].tolist()
        raise ValueError(f"vector {row}: entry {column} is {matrix[row, column]}; every value must be a finite number")
    return matrix
