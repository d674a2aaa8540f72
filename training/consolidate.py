"""A model in one file of safetensors, written a tensor at a time whatever its shards: never two copies in memory.

The format: eight bytes with the length of a JSON header, the header with each tensor's place, then the tensors.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from deepspeed.runtime.zero import GatheredParameters
from peft.tuners.lora import LoraLayer
from safetensors import safe_open
from torch import nn

DTYPES = {
    torch.float32: ("F32", 4),
    torch.bfloat16: ("BF16", 2),
    torch.float16: ("F16", 2),
    torch.int64: ("I64", 8),
    torch.int8: ("I8", 1),
    torch.bool: ("BOOL", 1),
}


@dataclass(frozen=True)
class Tensor:
    """One tensor of the file: its whole shape, the parameters to gather for it, and how it is made of these."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    made_of: list[nn.Parameter]
    value: Callable[[], torch.Tensor]


@torch.no_grad()
def consolidate(model: nn.Module, path: Path) -> None:
    """Write the model's parameters and lasting buffers; adapters are added to what they adapt.

    Every rank must call this, for under ZeRO 3 each holds a part of every tensor; rank 0 writes.

    Raises:
        ValueError: if a tensor has a type that the file can't hold.
    """
    stored, header, end = list(tensors(model)), {"__metadata__": {"format": "pt"}}, 0
    for each in stored:
        if each.dtype not in DTYPES:
            raise ValueError(f"{each.name} is {each.dtype}, which {path.name} can't hold")
        kind, width = DTYPES[each.dtype]
        size = width * torch.Size(each.shape).numel()
        header[each.name] = {"dtype": kind, "shape": list(each.shape), "data_offsets": [end, end + size]}
        end += size
    told = json.dumps(header).encode()
    told += b" " * (-len(told) % 8)
    first = not dist.is_initialized() or dist.get_rank() == 0
    draft = path.with_suffix(".draft")
    with open(draft, "wb") if first else nullcontext() as file:
        if first:
            file.write(len(told).to_bytes(8, "little") + told)
        for each in stored:
            with GatheredParameters(each.made_of):
                if first:
                    file.write(each.value().detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    if first:
        draft.replace(path)


@torch.no_grad()
def restore(model: nn.Module, path: Path) -> None:
    """Read such a file into a whole model of the same shape, a tensor at a time.

    Raises:
        ValueError: if the file's tensors aren't the model's.
    """
    wanted = {each.name: each for each in tensors(model)}
    with safe_open(path, "pt") as file:
        if set(file.keys()) != set(wanted):
            apart = sorted(set(file.keys()) ^ set(wanted))
            raise ValueError(f"{path} is another model's: {len(apart)} tensors differ, such as {apart[0]}")
        for name, each in wanted.items():
            each.value().copy_(file.get_tensor(name))


def tensors(model: nn.Module) -> Iterator[Tensor]:
    """What a file holds of the model, in the order of the modules."""
    for path, module in model.named_modules():
        if ".lora_" in path or path.startswith("lora_") or path.endswith("base_layer"):
            continue
        prefix = f"{path}." if path else ""
        if isinstance(module, LoraLayer):
            yield from _adapted(prefix, module)
            continue
        for name, parameter in module.named_parameters(recurse=False):
            shape = tuple(getattr(parameter, "ds_shape", parameter.shape))
            yield Tensor(prefix + name, shape, parameter.dtype, [parameter], lambda parameter=parameter: parameter)
        for name, buffer in module.named_buffers(recurse=False):
            if name not in module._non_persistent_buffers_set:
                yield Tensor(prefix + name, tuple(buffer.shape), buffer.dtype, [], lambda buffer=buffer: buffer)


def _adapted(prefix: str, module: LoraLayer) -> Iterator[Tensor]:
    base, adapter = module.get_base_layer(), module.active_adapters[0]
    parts = [base.weight, module.lora_A[adapter].weight, module.lora_B[adapter].weight]
    shape = tuple(getattr(base.weight, "ds_shape", base.weight.shape))
    yield Tensor(
        prefix + "weight", shape, base.weight.dtype, parts, lambda: base.weight + module.get_delta_weight(adapter)
    )
    if base.bias is not None:
        shape = tuple(getattr(base.bias, "ds_shape", base.bias.shape))
        yield Tensor(prefix + "bias", shape, base.bias.dtype, [base.bias], lambda: base.bias)
