"""The table of all texts' encodings: computed by all ranks together, once every few hundred steps."""

import logging

import numpy as np
import torch
import torch.distributed as dist

from training.backbone import TextEncoder
from training.encodings import Encodings
from training.objective import Objective
from training.precision import mixed

log = logging.getLogger("training.texts")

BLOCK = 128  # texts at a time; sorted by length, so that little is padding


class TextTable:
    """Tokens of all distinct texts, and the means to encode them.

    Args:
        token_ids, attention_mask: int64[texts, T].
        bfloat16: whether the language model may multiply in it.
        kept: encodings of before, of a language model that doesn't learn; None encodes everything.
    """

    def __init__(
        self, token_ids: np.ndarray, attention_mask: np.ndarray, *, bfloat16: bool, kept: Encodings | None = None
    ):
        self.token_ids, self.attention_mask, self.bfloat16, self.kept = token_ids, attention_mask, bfloat16, kept
        self.lengths = attention_mask.sum(1)

    def tokens(self, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and mask of these texts, as wide as the longest of them."""
        width = int(self.lengths[texts].max(initial=1))
        return self.token_ids[texts, :width], self.attention_mask[texts, :width]

    def refresh(self, objective: Objective) -> None:
        """Encode every text with the weights as they are."""
        self.encode(objective.recommender.texts, objective.table)

    @torch.no_grad()
    def encode(self, encoder: TextEncoder, table: torch.Tensor) -> None:
        """Fill ``table``, float32[texts, E]; each rank does its share, and all get the whole."""
        table.zero_()
        found = self._found(table)
        order = np.argsort(self.lengths, kind="stable")
        order = order[~found[order]]
        mine = order[dist.get_rank() :: dist.get_world_size()]
        for low in range(0, len(mine), BLOCK):
            block = mine[low : low + BLOCK]
            ids, mask = (torch.from_numpy(array).to(table.device) for array in self.tokens(block))
            with mixed(table.device.type, self.bfloat16):
                table[torch.from_numpy(block).to(table.device)] = encoder(ids, mask)
        dist.all_reduce(table)
        if self.kept and not found.all() and dist.get_rank() == 0:
            self.kept.keep(table)

    def _found(self, table: torch.Tensor) -> np.ndarray:
        """bool[texts], the same on all ranks: whose encodings the first rank had, and wrote into its ``table``."""
        found = [np.zeros(len(self.lengths), bool)]
        if self.kept:
            if dist.get_rank() == 0:
                found = [self.kept.fill(table)]
                log.info("encodings of %d texts are there from before, of %d not", found[0].sum(), (~found[0]).sum())
            dist.broadcast_object_list(found)
        return found[0]
