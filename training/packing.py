"""Short texts side by side in rows of one width, so that a step computes little padding."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Packed:
    """S texts in R rows of width L.

    Args:
        ids: int64[R, L] tokens.
        segment: int64[R, L] which text a token belongs to, -1 where padded.
        position: int64[R, L] the token's place within its text.
        special: bool[R, L] tokens that stand for no text: the first, the last, padding.
    """

    ids: np.ndarray
    segment: np.ndarray
    position: np.ndarray
    special: np.ndarray


def pack(ids: list[list[int]], special: list[list[int]], width: int, pad: int) -> Packed:
    """First fit, the longest first; rows are as wide as the longest text where that is wider than ``width``.

    Args:
        ids: tokens of each text.
        special: 1 where a token of it is special.
    """
    lengths = np.array([len(each) for each in ids])
    width = max(width, int(lengths.max(initial=1)))
    filled: list[int] = []
    rows = np.zeros(len(ids), np.int64)
    starts = np.zeros(len(ids), np.int64)
    for text in np.argsort(-lengths, kind="stable"):
        row = next((row for row, used in enumerate(filled) if used + lengths[text] <= width), len(filled))
        if row == len(filled):
            filled.append(0)
        rows[text], starts[text] = row, filled[row]
        filled[row] += int(lengths[text])
    shape = (len(filled), max(filled, default=1))
    packed = Packed(np.full(shape, pad), np.full(shape, -1), np.zeros(shape, np.int64), np.ones(shape, bool))
    for text, (row, start) in enumerate(zip(rows, starts, strict=True)):
        place = (row, slice(start, start + lengths[text]))
        packed.ids[place], packed.special[place] = ids[text], np.array(special[text], bool)
        packed.segment[place], packed.position[place] = text, np.arange(lengths[text])
    return packed


def visible(segment: torch.Tensor, *, causal: bool) -> torch.Tensor:
    """bool[R, 1, L, L]: what each token may look at: its own text, and of that what came before it where ``causal``.

    A padded token looks at padding, for a token that may look at nothing has no softmax.
    """
    same = segment[:, :, None] == segment[:, None]
    return (same.tril() if causal else same).unsqueeze(1)


def means(states: torch.Tensor, segment: torch.Tensor, texts: int) -> torch.Tensor:
    """float32[texts, E]: the mean state of each text's tokens, from [R, L, E]."""
    flat, owner = states.flatten(0, 1).float(), segment.flatten()
    kept = owner >= 0
    sums = torch.zeros(texts, states.shape[-1], device=states.device).index_add(0, owner[kept], flat[kept])
    counts = torch.bincount(owner[kept], minlength=texts).clamp(min=1)
    return sums / counts.unsqueeze(-1)
