"""Which numbers matrix products run in: bfloat16 where the device has it, float32 where it would pretend to."""

from functools import cache

import torch


def product_type(device: str, wanted: bool) -> torch.dtype:
    """torch.bfloat16 if it is wanted and the device (``cpu``, ``cuda`` …) has it, else torch.float32.

    A processor without AVX-512 has no such instructions: torch then multiplies an element at a time, six to ten times
    slower than in float32.
    """
    return torch.bfloat16 if wanted and _multiplies_bfloat16(device) else torch.float32


def mixed(device: str, wanted: bool) -> torch.autocast:
    """The context in which a language model multiplies in :func:`product_type`."""
    return torch.autocast(device, torch.bfloat16, enabled=product_type(device, wanted) == torch.bfloat16)


@cache
def _multiplies_bfloat16(device: str) -> bool:
    return torch.ops.mkldnn._is_mkldnn_bf16_supported() if device == "cpu" else True
