"""The export: all that scoring needs to turn items and histories into vectors, without this package.

A folder with manifest.json, tokenizer.json, items.json, tags.json, item_encoder.pt2 and user_encoder.pt2.
"""

import json
import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import nn

from training.data import Night
from training.model import ItemTower, Recommender, UserTower
from training.recipes import Recipe

FORMAT = 3
TOLERANCE = 1e-4  # between the exported programs and the model, relative to the vectors' largest entry
BATCH = torch.export.Dim("B", min=1, max=65536)


class ItemProgram(nn.Module):
    """(token ids, attention mask, tags, item index) -> item vectors.

    Equal rows of a block go through the language model once: shops have far fewer texts than items, so a caller that
    sorts its items by text gets most of them for nothing. The language model multiplies in bfloat16 where training
    does: half the time or less on a CPU that knows it, and the vectors that training saw.
    """

    def __init__(self, texts: nn.Module, items: ItemTower, *, bfloat16: bool):
        super().__init__()
        self.texts, self.items, self.bfloat16 = texts, items, bfloat16

    def forward(
        self, token_ids: torch.Tensor, attention_mask: torch.Tensor, tags: torch.Tensor, item_index: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.stack([token_ids, attention_mask], dim=1).flatten(1)
        distinct, which = torch.unique(rows, dim=0, return_inverse=True)
        torch._check(distinct.shape[0] >= 1)
        distinct = distinct.view(-1, 2, token_ids.shape[1])
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            encodings = self.texts(distinct[:, 0], distinct[:, 1])
        return self.items(encodings[which], tags, item_index)


class UserProgram(nn.Module):
    """(item vectors, ages before the night's end, entries) -> user vectors at the night's end, and what repeats add."""

    def __init__(self, users: UserTower):
        super().__init__()
        self.users = users

    def forward(
        self, item_vectors: torch.Tensor, ages: torch.Tensor, entries: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        last = torch.full_like(ages[:, :1], item_vectors.shape[1] - 1, dtype=torch.long)
        users, purchase, again = self.users(item_vectors, ages, entries, last, torch.zeros_like(ages[:, :1]))
        return users[:, 0], purchase[:, 0], again[:, 0]


def export(model: Recommender, tokenizer: Tokenizer, night: Night, recipe: Recipe, folder: Path) -> None:
    """Write the model's export into ``folder``, and read it back.

    Raises:
        ValueError: if what was read back doesn't give the model's vectors.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = model.to("cpu").eval().requires_grad_(False)
    manifest = {
        "format": FORMAT,
        "dim": recipe.dim,
        "purchase_dim": recipe.purchase_dim,
        "max_history": recipe.max_history,
        "max_tokens": recipe.max_tokens,
        "max_tags": night.tags.shape[1],
        "has_purchase": len(night.exposures) > 0,
        "trained_before": night.cut,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))
    (folder / "items.json").write_text(json.dumps(night.item_ids[: night.known]))
    (folder / "tags.json").write_text(json.dumps(night.tag_names))
    tokenizer.save(str(folder / "tokenizer.json"))
    items, users = (
        ItemProgram(model.texts, model.items, bfloat16=recipe.bfloat16).eval(),
        UserProgram(model.users).eval(),
    )
    item_inputs, user_inputs = _examples(tokenizer, night, recipe)
    write_items(items, item_inputs, recipe.max_tokens, folder)
    rows = {0: BATCH}
    _write(users, user_inputs, (rows, rows, rows), folder / "user_encoder.pt2")


def write_items(program: ItemProgram, inputs: tuple[torch.Tensor, ...], max_tokens: int, folder: Path) -> None:
    """Write the item encoder into ``folder``, and read it back.

    Args:
        inputs: of three items; a size of 1 would be taken for a constant by torch.export.

    Raises:
        ValueError: if what was read back doesn't give the program's vectors.
    """
    rows, texts = {0: BATCH}, {0: BATCH, 1: torch.export.Dim("T", min=2, max=max_tokens)}
    _write(program, inputs, (texts, texts, rows, rows), folder / "item_encoder.pt2")


def _examples(tokenizer: Tokenizer, night: Night, recipe: Recipe) -> tuple[tuple, tuple]:
    """Three items and three histories: sizes of 1 would be taken for constants by torch.export."""
    encodings = tokenizer.encode_batch([night.texts[night.text_of[item]] or "-" for item in (0, 0, -1)])
    ids, mask = (
        torch.tensor([getattr(encoding, name) for encoding in encodings]) for name in ("ids", "attention_mask")
    )
    generator = torch.Generator().manual_seed(recipe.seed)
    vectors = torch.randn(3, recipe.max_history, recipe.dim, generator=generator)
    ages = torch.rand(3, recipe.max_history, generator=generator).mul(100).sort(dim=1, descending=True).values
    seen = torch.arange(recipe.max_history) >= torch.tensor([[0], [recipe.max_history - 1], [recipe.max_history]])
    entries = torch.where(seen, torch.arange(recipe.max_history) % 5, -1)
    tags = torch.from_numpy(night.tags[[0, 0, -1]])
    return (ids, mask, tags, torch.tensor([1, min(2, night.known), 0])), (
        vectors * seen.unsqueeze(-1),
        ages * seen,
        entries,
    )


@torch.no_grad()
def _write(program: nn.Module, inputs: tuple, shapes: tuple, path: Path) -> None:
    exported = torch.export.export(program, inputs, dynamic_shapes=shapes)
    torch.export.save(exported, path)
    for ours, theirs in zip(program(*inputs), torch.export.load(path).module()(*inputs), strict=True):
        apart = float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1e-6))
        if not apart <= TOLERANCE:
            raise ValueError(f"{path.name}: read back, it is {apart:.2g} away from the model; the limit is {TOLERANCE}")
