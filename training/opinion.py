"""The sentiment model: what the language model and the words say of a review, weighed against each other."""

import numpy as np
import torch
from torch import nn

from schemas.catalogue import SENTIMENTS
from training.backbone import TextEncoder
from training.precision import mixed
from training.verdict import Verdict
from training.words import Words

FORMAT = 1


class Reader(nn.Module):
    """Token ids and mask, int64[B, T] -> float32[B, classes] logits of the language model's mean state."""

    def __init__(self, texts: TextEncoder):
        super().__init__()
        self.texts = texts
        self.head = nn.Linear(texts.width, len(SENTIMENTS))

    def forward(self, token_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.head(self.texts(token_ids, attention_mask))


class Opinion(nn.Module):
    """Token ids and mask, int64[B, T] -> float32[B, classes] twice.

    First calibrated probabilities, then log probabilities with the lean added, whose largest names the class.
    """

    def __init__(self, words: Words, reader: Reader, *, bfloat16: bool):
        super().__init__()
        self.words, self.reader, self.bfloat16 = words, reader, bfloat16
        self.verdict: Verdict | None = None
        self.register_buffer("scales", torch.ones(2))
        self.register_buffer("offsets", torch.zeros(len(SENTIMENTS)))
        self.register_buffer("lean", torch.zeros(len(SENTIMENTS)))

    def settle(self, verdict: Verdict) -> None:
        """How the two are weighed."""
        self.verdict = verdict
        for name in ("scales", "offsets", "lean"):
            getattr(self, name).copy_(torch.from_numpy(np.array(getattr(verdict, name), dtype=np.float32)))

    def logits(self, token_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """float32[B, classes] of the words, and of the language model."""
        with mixed("cpu", self.bfloat16):
            read = self.reader(token_ids, attention_mask).float()
        return self.words(token_ids, attention_mask), read

    def forward(self, token_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        words, read = self.logits(token_ids, attention_mask)
        told = torch.log_softmax(self.scales[0] * words + self.scales[1] * read + self.offsets, dim=1)
        return told.exp(), told + self.lean
