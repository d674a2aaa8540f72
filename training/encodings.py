"""Encodings of texts from one training to the next: a language model that stays as it is says the same every night."""

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file


class Encodings:
    """What was said of texts before, in one file a language model; lost, it is made again.

    Args:
        path: of the file.
        texts: those of the night, in their order.
    """

    def __init__(self, path: Path, texts: list[str]):
        self.path = path
        digests = b"".join(hashlib.sha256(text.encode()).digest()[:8] for text in texts)
        self._keys = np.frombuffer(digests, np.int64)

    @staticmethod
    def of(model: str, texts: list[str]) -> "Encodings":
        """In the folder of checkpoints.

        Args:
            model: a name that changes with whatever changes an encoding.
        """
        root = Path(os.environ.get("NIGHT_CHECKPOINTS", "var/checkpoints"))
        return Encodings(root / "encodings" / f"{model}.safetensors", texts)

    def fill(self, table: torch.Tensor) -> np.ndarray:
        """Write what is known into ``table`` float32[texts, E]; bool[texts], of which there was something."""
        found = np.zeros(len(self._keys), bool)
        if not self.path.exists():
            return found
        kept = load_file(self.path)
        keys = kept["keys"].numpy()  # ascending
        place = np.searchsorted(keys, self._keys).clip(max=len(keys) - 1)
        found = keys[place] == self._keys
        table[torch.from_numpy(found)] = kept["encodings"][torch.from_numpy(place[found])].to(table.device)
        return found

    def keep(self, table: torch.Tensor) -> None:
        """Keep the night's, and no others: what left the catalogue isn't asked for again."""
        order = np.argsort(self._keys)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(f".{os.getpid()}.draft")
        told = {"keys": torch.from_numpy(self._keys[order]), "encodings": table.cpu()[torch.from_numpy(order)]}
        save_file(told, draft)
        draft.replace(self.path)
