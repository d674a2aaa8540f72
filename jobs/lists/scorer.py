"""The exported model of one version, as the list jobs use it: torch.export programs and a tokenizer, no training code.

It runs inside Spark's Python workers. Spark sets their ``OMP_NUM_THREADS`` to ``spark.task.cpus``: one thread a task,
so tasks don't fight for cores.
"""

import json
import logging
import shutil
from functools import cache
from pathlib import Path

import numpy as np
from pyspark import SparkFiles
from pyspark.sql import SparkSession

log = logging.getLogger("jobs.lists.scorer")

FORMAT = 6
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

        What the night's trends add to "vector" isn't in it. An item the model never saw has its text and those of its
        tags that the model did see. The program reads equal texts of one call once, so callers sort by text.
        """
        width = self.manifest["max_tags"]
        numbers = np.zeros((len(texts), width), np.int64)
        for row, names in enumerate(tags):
            known = [self._tags[name] for name in names if name in self._tags][:width]
            numbers[row, : len(known)] = known
        encodings = self._tokenizer.encode_batch(texts)
        relevance, *paired = self._run(
            self._items,
            np.array([encoding.ids for encoding in encodings], np.int64),
            np.array([encoding.attention_mask for encoding in encodings], np.int64),
            numbers,
            np.array([self._index.get(item, 0) for item in item_ids], np.int64),
        )
        return {"vector": relevance, **self._trained(paired)}

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
    """The scorer of a folder, loaded once a worker process: Spark reuses workers for many tasks.

    On the executors of a cluster, where the driver's folder isn't, it is what :func:`send` sent them.
    """
    return Scorer(folder if Path(folder).is_dir() else SparkFiles.get(_sent(folder)))


def send(spark: SparkSession, folder: str) -> None:
    """Gives every executor of a cluster the export that lies in the driver's ``folder``."""
    if spark.sparkContext.master.split("[")[0] != "local":
        archive = shutil.make_archive(folder, "zip", folder)
        spark.sparkContext.addArchive(f"{archive}#{_sent(folder)}")


def _sent(folder: str) -> str:
    """The executors' name for the folder: two versions in one session must not meet."""
    return "-".join(Path(folder).parts[-2:])
