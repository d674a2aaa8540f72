"""The exported model of one version, as the list jobs use it: torch.export programs and a tokenizer, no training code.

It runs inside Spark's Python workers. Spark sets their ``OMP_NUM_THREADS`` to ``spark.task.cpus``: one thread a task,
so tasks don't fight for cores.
"""

import json
import logging
from functools import cache
from pathlib import Path

import numpy as np

from jobs.model import local
from schemas.catalogue import description

log = logging.getLogger("jobs.lists.scorer")

FORMAT = 8
PAIRED = ("click", "purchase", "spend")  # heads that compare a user's and an item's vector


def manifest(folder: str) -> dict:
    """The export's description: ``dim``, ``max_history``, ``tasks`` and so on.

    Raises:
        ValueError: if the folder holds no manifest, or one of another format.
    """
    path = Path(folder) / "manifest.json"
    if not path.is_file():
        raise ValueError(f"{path}: no such file; the model version must hold an export, so train and register it again")
    found = json.loads(path.read_text())
    if found.get("format") != FORMAT:
        raise ValueError(f"{path}: format is {found.get('format')!r}, these jobs read {FORMAT}; export the model again")
    return found


class Scorer:
    """The encoders of one export folder, on the CPU."""

    def __init__(self, folder: str):
        import torch  # seconds and half a gigabyte, which only the workers that encode should pay
        from tokenizers import Tokenizer

        self._torch = torch
        self.manifest = manifest(folder)
        self._tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self._index = {item: i for i, item in enumerate(json.loads((Path(folder) / "items.json").read_text()), 1)}
        self._tags = {tag: i for i, tag in enumerate(json.loads((Path(folder) / "tags.json").read_text()), 1)}
        self._descriptions, self._vectors = np.empty(0, np.int64), None
        if (Path(folder) / "descriptions.npy").is_file():
            self._descriptions = np.load(Path(folder) / "descriptions.npy")
            self._vectors = np.load(Path(folder) / "vectors.npy", mmap_mode="r")  # shared by all workers of a machine
        self._items = torch.export.load(Path(folder) / "item_encoder.pt2").module()
        self._users = torch.export.load(Path(folder) / "user_encoder.pt2").module()
        if self.manifest.get("bfloat16") and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            log.warning(
                "%s multiplies in bfloat16, which this processor only pretends to do, many times slower: "
                "train on processors like those that score, or by a recipe with bfloat16 false",
                folder,
            )

    def items(self, texts: list[str], tags: list[list[str]], item_ids: list[str]) -> dict[str, np.ndarray]:
        """Vectors of items, float32: "vector" [n, dim], of each of PAIRED, without columns if it wasn't trained.

        What the night's trends add to "vector" isn't in it. An item that is described as it was when the model was
        exported has the vectors that were exported with it. One the model never saw has its text and those of its tags
        that the model did see. The program reads equal texts of one call once, so callers sort by text.
        """
        places = self._exported(texts, tags, item_ids)
        others = np.flatnonzero(places < 0)
        rows = self._vectors[places.clip(0)] if len(self._descriptions) else None
        if len(others):
            made = self._encoded(*([each[row] for row in others] for each in (texts, tags, item_ids)))
            rows = np.empty((len(places), made.shape[1]), np.float32) if rows is None else rows
            rows[others] = made
        dim = self.manifest["dim"]
        return {"vector": rows[:, :dim], **self._trained(np.split(rows[:, dim:], len(PAIRED), axis=1))}

    def _exported(self, texts: list[str], tags: list[list[str]], item_ids: list[str]) -> np.ndarray:
        """int64 [n]: the row of the exported vectors, -1 for an item that isn't described as it was."""
        if not len(self._descriptions):
            return np.full(len(texts), -1)
        wanted = np.array(list(map(description, item_ids, texts, tags)), np.int64)
        places = np.searchsorted(self._descriptions, wanted).clip(max=len(self._descriptions) - 1)
        return np.where(self._descriptions[places] == wanted, places, -1)

    def _encoded(self, texts: list[str], tags: list[list[str]], item_ids: list[str]) -> np.ndarray:
        """float32 [n, dim and all heads]: what the program makes of these items."""
        width = self.manifest["max_tags"]
        numbers = np.zeros((len(texts), width), np.int64)
        for row, names in enumerate(tags):
            known = [self._tags[name] for name in names if name in self._tags][:width]
            numbers[row, : len(known)] = known
        encodings = self._tokenizer.encode_batch(texts)
        told = self._run(
            self._items,
            np.array([encoding.ids for encoding in encodings], np.int64),
            np.array([encoding.attention_mask for encoding in encodings], np.int64),
            numbers,
            np.array([self._index.get(item, 0) for item in item_ids], np.int64),
        )
        return np.concatenate(told, axis=1)

    def users(
        self, vectors: np.ndarray, sales: np.ndarray, ages: np.ndarray, entries: np.ndarray
    ) -> dict[str, np.ndarray]:
        """As :meth:`items`; and "variety" [n], NaN if it wasn't trained, and "repeats" [n, max_history].

        Args:
            vectors, sales: float32 [n, max_history, …] of the items of each history, the most recent last.
            ages: float32 [n, max_history], days from the event to the end of the night.
            entries: int64 [n, max_history], a number for each item, -1 for padding, which stands on the left.
        """
        relevance, *paired, variety, repeats = self._run(self._users, vectors, sales, ages, entries)
        if "variety" not in self.manifest["tasks"]:
            variety = np.full_like(variety, np.nan)
        return {
            "vector": relevance,
            **self._trained(paired),
            "variety": variety,
            "repeats": repeats,
        }

    def _run(self, program, *inputs: np.ndarray) -> list[np.ndarray]:
        with self._torch.inference_mode():
            return [output.numpy() for output in program(*(self._torch.from_numpy(array) for array in inputs))]

    def _trained(self, paired: list[np.ndarray]) -> dict[str, np.ndarray]:
        """By the columns of lists.vectors; without entries where the night's data had nothing to train the head on."""
        tasks = self.manifest["tasks"]
        return {
            f"{name}_vector": found if name in tasks else found[:, :0]
            for name, found in zip(PAIRED, paired, strict=True)
        }


@cache
def scorer(folder: str) -> Scorer:
    """The scorer of a folder, loaded once a worker process: Spark reuses workers for many tasks."""
    return Scorer(local(folder))
