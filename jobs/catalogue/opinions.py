"""The exported sentiment model of one version: a torch.export program and a tokenizer, no training code."""

import json
from functools import cache
from pathlib import Path

import numpy as np

from jobs.model import local
from schemas.catalogue import SENTIMENTS

FORMAT = 1
AT_ONCE = 64  # reviews that go through the language model together


class Opinions:
    """Says of reviews whether they are negative, neutral or positive.

    Raises:
        ValueError: if the folder holds no such export.
    """

    def __init__(self, folder: str):
        import torch  # seconds and half a gigabyte, which only the workers that read reviews should pay
        from tokenizers import Tokenizer

        path = Path(folder) / "manifest.json"
        if not path.is_file():
            raise ValueError(f"{path}: no such file; train the sentiment model again")
        found = json.loads(path.read_text())
        if (found.get("format"), tuple(found.get("classes", ()))) != (FORMAT, SENTIMENTS):
            raise ValueError(
                f"{path}: format {found.get('format')} with classes {found.get('classes')}; these jobs read format "
                f"{FORMAT} with {list(SENTIMENTS)}: train the sentiment model again"
            )
        self._torch = torch
        self._tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self._program = torch.export.load(Path(folder) / "opinion.pt2").module()

    def score(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """float32[N, classes] calibrated probabilities, and int64[N], the class of each text; N may be 0."""
        sure, told = np.zeros((len(texts), len(SENTIMENTS)), np.float32), np.zeros(len(texts), np.int64)
        order = np.argsort([len(text) for text in texts], kind="stable")  # so that little of a batch is padding
        for low in range(0, len(order), AT_ONCE):
            places = order[low : low + AT_ONCE]
            encodings = self._tokenizer.encode_batch([texts[place] for place in places])
            tokens = (np.array([getattr(each, name) for each in encodings]) for name in ("ids", "attention_mask"))
            with self._torch.inference_mode():
                probabilities, leaned = self._program(*map(self._torch.from_numpy, tokens))
            sure[places], told[places] = probabilities.numpy(), leaned.numpy().argmax(1)
        return sure, told


@cache
def opinions(folder: str) -> Opinions:
    """The model of a folder, loaded once a worker process."""
    return Opinions(local(folder))
