"""What training takes of a process: of its resident memory, and of its tensors by what they are for; all in bytes."""

import ctypes
import gc
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn


def settle() -> int:
    """What is resident once all that is free went back to the system; from here on the peak is counted anew."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's: else what loading left would be used again unseen
    if trim:
        trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): sets VmHWM to what is resident now
    return resident()


def resident() -> int:
    """What is resident now."""
    return _status("VmRSS")


def peak() -> int:
    """The most that was resident since memory was settled."""
    return _status("VmHWM")


class Held:
    """The tensors of a process when there are most: an optimizer's pre-hook, called when all gradients are there.

    Weights are the module's and, of sharded optimizers, the copies that these work on. What is neither a weight, nor a
    buffer of the module, nor a state of the optimizer counts as a gradient: the buckets that they are sent in, say.
    """

    def __init__(self, module: nn.Module):
        self.module = module
        self.bytes = {"weights": 0, "states": 0, "gradients": 0}

    def __call__(self, optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
        seen: set[int] = set()
        _count(self.module.buffers(), seen)
        worked_on = [each for group in optimizer.param_groups for each in group["params"]]
        weights = [*self.module.parameters(), *worked_on, *optimizer.state]
        weights += [each.ds_tensor for each in weights if hasattr(each, "ds_tensor")]  # a rank's part under ZeRO 3
        now = {"weights": _count(weights, seen)}
        states = (value for state in optimizer.state.values() for value in state.values())
        now["states"] = _count((value for value in states if isinstance(value, torch.Tensor)), seen)
        # not what torch.export traces with, which is a tensor of a kind but holds no memory
        alive = [each for each in gc.get_objects() if type(each) in (torch.Tensor, nn.Parameter)]
        alive += [each.grad for each in weights if each.grad is not None]
        now["gradients"] = _count(alive, seen)
        self.bytes = max(self.bytes, now, key=lambda each: sum(each.values()))  # ZeRO calls it once for each group


def _count(tensors: Iterable[torch.Tensor], seen: set[int]) -> int:
    """Bytes of the storages that were not seen before."""
    total = 0
    for tensor in tensors:
        if tensor.device.type == "meta":
            continue
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            total += storage.nbytes()
    return total


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/self/status has no {name}")
