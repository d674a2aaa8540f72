"""The export: all that scoring needs to turn items and histories into vectors, without this package.

A folder with manifest.json, tokenizer.json, items.json, tags.json, item_encoder.pt2 and user_encoder.pt2; where a query
can be related to items, query_encoder.pt2; and, where the language model is exported as training had it,
descriptions.npy and vectors.npy: the catalogue as the item encoder sees it, so that nobody has to read it again.
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional as F

from schemas.catalogue import description
from training.accounting import Guarantee
from training.calibration import Platt
from training.data import Night
from training.heads import LOGITS, Heads
from training.model import ItemTower, Recommender, UserTower
from training.precision import mixed, product_type
from training.recipe import Recipe
from training.trends import SALES

FORMAT = 8
TOLERANCE = 1e-4  # between the exported programs and the model, relative to the vectors' largest entry
BATCH = torch.export.Dim("B", min=1, max=65536)


class ItemProgram(nn.Module):
    """(token ids, attention mask, tags, item index) -> item vectors without trends, and those of ``heads.PAIRED``.

    Equal rows of a block go through the language model once: shops have far fewer texts than items, so a caller that
    sorts its items by text gets most of them for nothing. The language model multiplies in bfloat16 where training
    does and the exporting CPU knows it: half the time or less, and the vectors that training saw.
    """

    def __init__(self, texts: nn.Module, items: ItemTower, heads: Heads, *, bfloat16: bool):
        super().__init__()
        self.texts, self.items, self.heads, self.bfloat16 = texts, items, heads, bfloat16

    def forward(
        self, token_ids: torch.Tensor, attention_mask: torch.Tensor, tags: torch.Tensor, item_index: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        rows = torch.stack([token_ids, attention_mask], dim=1).flatten(1)
        distinct, which = torch.unique(rows, dim=0, return_inverse=True)
        torch._check(distinct.shape[0] >= 1)
        # one row more, for torch 2.11 can't trace attention over what may be a single row
        distinct = torch.cat([distinct, distinct[:1]]).view(-1, 2, token_ids.shape[1])
        with mixed("cpu", self.bfloat16):
            encodings = self.texts(distinct[:, 0], distinct[:, 1])
        return self.of_encodings(encodings[which], tags, item_index)

    def of_encodings(
        self, encodings: torch.Tensor, tags: torch.Tensor, item_index: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """The same of texts that the language model has read."""
        vectors = self.items(encodings, tags, item_index)
        click, purchase, spend = self.heads.of_items(vectors, item_index)
        excess = F.pad(self.heads.excess, (spend.shape[-1] - 1, 0))
        return vectors, click, purchase, spend + excess

    @torch.no_grad()
    def of_night(self, table: torch.Tensor, night: Night) -> tuple[torch.Tensor, ...]:
        """The same of a night's whole catalogue, of which ``table``, float32[texts, E], has the texts' encodings."""
        index = torch.arange(len(night.item_ids)) + 1
        index[night.known :] = 0  # never bought before the cut
        return self.of_encodings(table[torch.from_numpy(night.text_of)], torch.from_numpy(night.tags), index)


class UserProgram(nn.Module):
    """(item vectors, sales, ages before the night's end, entries) -> what is said of users at the night's end.

    That is: vectors, those of each of ``heads.PAIRED``, the variety they accept, and what repeats add. The vectors of
    click and purchase give corrected logits.
    """

    def __init__(self, users: UserTower, heads: Heads, corrections: dict[str, Platt]):
        super().__init__()
        self.users, self.heads = users, heads
        found = [corrections.get(name, Platt(1.0, 0.0)) for name in LOGITS]
        self.register_buffer("slopes", torch.tensor([each.slope for each in found], dtype=torch.float32))
        self.register_buffer("offsets", torch.tensor([each.offset for each in found], dtype=torch.float32))

    def forward(
        self, item_vectors: torch.Tensor, sales: torch.Tensor, ages: torch.Tensor, entries: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        last = torch.full_like(ages[:, :1], item_vectors.shape[1] - 1, dtype=torch.long)
        now = torch.zeros_like(ages[:, :1])
        users, again = self.users(item_vectors, ages, entries, last, now, sales=sales.unsqueeze(1))
        users, again = users[:, 0], again[:, 0]
        *paired, spend = self.heads.of_users(users)
        constant = F.pad(torch.ones_like(paired[0][:, :1]), (paired[0].shape[1] - 2, 1))  # where the offset stands
        corrected = [
            each * slope + constant * offset
            for each, slope, offset in zip(paired, self.slopes, self.offsets, strict=True)
        ]
        return users, *corrected, spend, torch.sigmoid(self.heads.accepted(users)), again


class QueryProgram(nn.Module):
    """(token ids, attention mask) -> query vectors, whose inner products with items' vectors are their relevance."""

    def __init__(self, model: Recommender, *, bfloat16: bool):
        super().__init__()
        self.texts, self.heads, self.bfloat16 = model.texts, model.heads, bfloat16
        self.register_buffer("centre", model.items.centre)

    def forward(self, token_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        with mixed("cpu", self.bfloat16):
            encodings = self.texts(token_ids, attention_mask)
        return self.heads.of_queries(encodings.float() - self.centre)


def export(
    model: Recommender,
    tokenizer: Tokenizer,
    night: Night,
    recipe: Recipe,
    folder: Path,
    *,
    tasks: tuple[str, ...] = ("next_item",),
    corrections: dict[str, Platt] | None = None,
    table: torch.Tensor | None = None,
    guarantee: Guarantee | None = None,
) -> None:
    """Write the model's export into ``folder``, and read it back.

    Args:
        tasks: what it was trained for, see ``training.objective.tasks``; of other heads scoring reads nothing.
        corrections: of the logits of click and purchase.
        table: float32[texts, E], what the exported language model says of the night's texts; None where that is not
            known, and everybody encodes the catalogue for themselves.
        guarantee: what a private training promises its users.

    Raises:
        ValueError: if what was read back doesn't give the model's vectors.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = model.to("cpu").eval().requires_grad_(False)
    manifest = _manifest(model, night, recipe, tasks, corrections or {})
    manifest |= {"privacy": guarantee.told()} if guarantee else {}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))
    (folder / "items.json").write_text(json.dumps(night.item_ids[: night.known]))
    (folder / "tags.json").write_text(json.dumps(night.tag_names))
    tokenizer.save(str(folder / "tokenizer.json"))
    items, users = (
        ItemProgram(model.texts, model.items, model.heads, bfloat16=recipe.bfloat16).eval(),
        UserProgram(model.users, model.heads, corrections or {}).eval(),
    )
    if table is not None:
        write_catalogue(items.of_night(table, night), night, folder)
    item_inputs, user_inputs = _examples(tokenizer, night, recipe)
    write_items(items, item_inputs, recipe.max_tokens, folder)
    rows = {0: BATCH}
    write_program(users, user_inputs, (rows, rows, rows, rows), folder / "user_encoder.pt2")
    if "relevance" in tasks:
        texts = {0: BATCH, 1: torch.export.Dim("T", min=2, max=recipe.max_tokens)}
        queries = QueryProgram(model, bfloat16=recipe.bfloat16).eval()
        write_program(queries, item_inputs[:2], (texts, texts), folder / "query_encoder.pt2")


def _manifest(
    model: Recommender, night: Night, recipe: Recipe, tasks: tuple[str, ...], corrections: dict[str, Platt]
) -> dict:
    return {
        "format": FORMAT,
        "dim": recipe.dim,
        "text_dim": recipe.text_dim,
        "max_history": recipe.max_history,
        "max_tokens": recipe.max_tokens,
        "max_tags": night.tags.shape[1],
        "tasks": list(tasks),
        "bfloat16": product_type("cpu", recipe.bfloat16) == torch.bfloat16,
        "corrections": {name: asdict(each) for name, each in corrections.items()},
        "pull": model.items.pull.tolist() if recipe.predict == "week" and recipe.counted else None,
        "trained_before": night.cut,
    }


def write_catalogue(told: tuple[torch.Tensor, ...], night: Night, folder: Path) -> None:
    """Write ``descriptions.npy``, int64[items] ascending, and ``vectors.npy``, float32[items, all that is told]."""
    keys = np.array(list(map(description, night.item_ids, *night.described())), np.int64)
    order = np.argsort(keys)
    np.save(folder / "descriptions.npy", keys[order])
    np.save(folder / "vectors.npy", torch.cat(told, dim=1).numpy()[order])


def write_items(program: ItemProgram, inputs: tuple[torch.Tensor, ...], max_tokens: int, folder: Path) -> None:
    """Write the item encoder into ``folder``, and read it back.

    Args:
        inputs: of three items; a size of 1 would be taken for a constant by torch.export.

    Raises:
        ValueError: if what was read back doesn't give the program's vectors.
    """
    rows, texts = {0: BATCH}, {0: BATCH, 1: torch.export.Dim("T", min=2, max=max_tokens)}
    write_program(program, inputs, (texts, texts, rows, rows), folder / "item_encoder.pt2")


def _examples(tokenizer: Tokenizer, night: Night, recipe: Recipe) -> tuple[tuple, tuple]:
    """Three items and three histories: sizes of 1 would be taken for constants by torch.export."""
    encodings = tokenizer.encode_batch([night.texts[night.text_of[item]] or "-" for item in (0, 0, -1)])
    ids, mask = (
        torch.tensor([getattr(encoding, name) for encoding in encodings]) for name in ("ids", "attention_mask")
    )
    generator = torch.Generator().manual_seed(recipe.seed)
    vectors = torch.randn(3, recipe.max_history, recipe.dim, generator=generator)
    sales = torch.rand(3, recipe.max_history, SALES, generator=generator)
    ages = torch.rand(3, recipe.max_history, generator=generator).mul(100).sort(dim=1, descending=True).values
    seen = torch.arange(recipe.max_history) >= torch.tensor([[0], [recipe.max_history - 1], [recipe.max_history]])
    entries = torch.where(seen, torch.arange(recipe.max_history) % 5, -1)
    tags = torch.from_numpy(night.tags[[0, 0, -1]])
    return (ids, mask, tags, torch.tensor([1, min(2, night.known), 0])), (
        vectors * seen.unsqueeze(-1),
        sales * seen.unsqueeze(-1),
        ages * seen,
        entries,
    )


@torch.no_grad()
def write_program(program: nn.Module, inputs: tuple, shapes: tuple, path: Path) -> None:
    """Write ``program``, traced on ``inputs`` with these dynamic shapes, to ``path``, and read it back.

    Raises:
        ValueError: if what was read back doesn't give the program's tensors.
    """
    exported = torch.export.export(program, inputs, dynamic_shapes=shapes)
    torch.export.save(exported, path)
    made, read = program(*inputs), torch.export.load(path).module()(*inputs)
    if isinstance(made, torch.Tensor):
        made, read = (made,), (read,)
    for ours, theirs in zip(made, read, strict=True):
        apart = float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1e-6))
        if not apart <= TOLERANCE:
            raise ValueError(f"{path.name}: read back, it is {apart:.2g} away from the model; the limit is {TOLERANCE}")
