"""Item vectors in fewer bits: what they take, how fast they are searched, and whom they still find."""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from benchmarks.compression.night import Asked
from jobs.ranking import topk
from schemas.lists import SURFACES
from training.compress import Vectors, bfloat16_vectors, int8_vectors
from training.served import Exported, Served

K = max(surface.candidates for surface in SURFACES)
ITEMS_AT_ONCE = 4096
BLOCK = 256  # users scored at a time
ROUNDS, QUICK_ROUNDS = 5, 1


def compare(export: Path, asked: Asked, quick: bool) -> dict[str, dict]:
    """Figures by the numbers that item vectors are kept in; "NumPy" is the night's own search of float32."""
    exported = Exported(export)
    found_items, users = exported.items(asked.night), []
    items, length = found_items.vectors, exported.manifest["max_history"]

    def tops(vectors: torch.Tensor) -> np.ndarray:
        return asked.tops(Served(replace(found_items, vectors=vectors), exported.user_encoder, length))

    hook = exported.user_encoder.register_forward_hook(lambda _module, _inputs, outputs: users.append(outputs[0]))
    beside = tops(items)
    hook.remove()
    kinds = {
        "float32": Vectors(items[:, :-1].contiguous(), None, items[:, -1].clone()),
        "bfloat16": bfloat16_vectors(items),
        "int8": int8_vectors(items),
    }
    found = {
        name: {
            "bytes_per_item": kind.bytes_per_item,
            **asked.accuracy(tops(kind.decoded()), beside),
        }
        for name, kind in kinds.items()
    }
    searches = {name: lambda users, kind=kind: top_k(kind, users, K) for name, kind in kinds.items()}
    searches["float32, NumPy"] = lambda users: topk.top_k(users.numpy(), items.numpy(), K)
    rates = _rates(searches, torch.cat(users), len(items), QUICK_ROUNDS if quick else ROUNDS)
    found["float32, NumPy"] = found["float32"]
    return {name: {**found[name], "pairs_per_second": rate} for name, rate in rates.items()}


def top_k(vectors: Vectors, users: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k items with the largest inner products of each user, and these: int64 and float32[users, min(k, items)].

    Rough products find, whole ones decide, as in ``jobs.ranking.topk``: what lies below a floor that the first block of
    items gives away can't be among the best, for the floor lies lower than a rough product can err.

    Args:
        users: float32[users, d].
    """
    k = min(k, len(vectors.bias))
    positions, scores = torch.zeros(len(users), k, dtype=torch.long), torch.zeros(len(users), k)
    margin = 2 * vectors.error(users)
    for low in range(0, len(users), BLOCK):
        block = slice(low, low + BLOCK)
        rows, columns, products = _above_the_floor(vectors, users[block], k, margin[block])
        bounds = torch.searchsorted(rows, torch.arange(len(users[block]) + 1)).tolist()
        for user, (start, stop) in enumerate(pairwise(bounds), low):
            own, rough = columns[start:stop], products[start:stop]
            own = own[rough >= rough.topk(k).values[-1] - margin[user]]
            best = vectors[own].products(users[user : user + 1])[0].topk(k)
            positions[user], scores[user] = own[best.indices], best.values
    return positions, scores


def _above_the_floor(
    vectors: Vectors, users: torch.Tensor, k: int, margin: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Users in ascending order, items and their rough products: all pairs that may be among a user's k best."""
    floor, parts = None, []
    first = max(ITEMS_AT_ONCE, 64 * k)  # wide enough for its k-th product to keep nearly everything after it out
    starts = [0, *range(first, len(vectors.bias), ITEMS_AT_ONCE), len(vectors.bias)]
    for start, stop in pairwise(starts):
        products = vectors[start:stop].rough(users)
        if floor is None:
            floor = products.topk(k, dim=1).values[:, -1] - margin
        hits = np.flatnonzero((products >= floor.unsqueeze(1)).numpy())  # a fifth of the time of torch's own
        rows, columns = np.divmod(hits, stop - start)
        parts.append((rows, columns + start, products.numpy().ravel()[hits]))
    rows, columns, products = (torch.from_numpy(np.concatenate(each)) for each in zip(*parts, strict=True))
    order = rows.argsort(stable=True)
    return rows[order], columns[order], products[order]


@torch.no_grad()
def _rates(searches: dict[str, Callable], users: torch.Tensor, items: int, rounds: int) -> dict[str, float]:
    """Pairs of user and item that one core searches in a second of its time, the median of rounds of taking turns."""
    seconds: dict[str, list[float]] = {name: [] for name in searches}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for _ in range(rounds):
        for name, search in searches.items():
            began = time.thread_time()
            search(users)
            seconds[name].append(time.thread_time() - began)
    torch.set_num_threads(threads)
    return {name: len(users) * items / float(np.median(each)) for name, each in seconds.items()}
