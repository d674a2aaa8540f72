"""A model as scoring serves it: what its two programs make of a night's items and of people's histories."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from schemas.catalogue import description
from training.data import Histories, Night
from training.exposures import Exposures
from training.heads import LOGITS, PAIRED, logits
from training.trends import sales

BLOCK = 256  # users at a time
TEXT_BLOCK = 256  # items encoded at a time; sorted by text, equal texts meet in one block


@dataclass(frozen=True)
class Items:
    """float32[items, ...] of the whole catalogue: relevance vectors, those of each of ``heads.PAIRED``, and sales.

    Sales are what was counted at the moment of asking, see ``training.trends.sales``.
    """

    vectors: torch.Tensor
    click: torch.Tensor
    purchase: torch.Tensor
    spend: torch.Tensor
    sales: torch.Tensor

    @classmethod
    def counted(cls, told: Iterable[torch.Tensor], sales: np.ndarray, pull: list[float] | None) -> "Items":
        """With what the item program says of them, and how they sell.

        Args:
            pull: what each trend adds to an item's bias; None where how an item sells of late counts for nothing.
        """
        vectors, *paired = told
        counts = torch.from_numpy(sales)
        if pull is None:
            counts[:, :-1] = 0.0
        else:
            vectors = vectors.clone()
            vectors[:, -1] += counts[:, :-1] @ torch.tensor(pull)
        return cls(vectors, *paired, counts)


@dataclass(frozen=True)
class Users:
    """What the user program says of B users.

    Args:
        scores: float32[B, items], relevance with what repeats add.
        click, purchase, spend: float32[B, ...] vectors of the heads.
        variety: float32[B], 0 to 1.
    """

    scores: torch.Tensor
    click: torch.Tensor
    purchase: torch.Tensor
    spend: torch.Tensor
    variety: torch.Tensor


class Served:
    """Items, and the program that reads histories of them.

    Args:
        items: of the night whose histories are read.
        user_encoder: (vectors, sales, ages, entries) -> what ``training.export.UserProgram`` gives.
        max_history: how many of a user's latest events it reads.
    """

    def __init__(self, items: Items, user_encoder: Callable, max_history: int):
        self.items, self.max_history, self._encode = items, max_history, user_encoder

    @torch.no_grad()
    def users(self, seen: Histories, users: np.ndarray, now: float) -> Users:
        """Of those who have the histories ``seen``, at the time ``now``."""
        length = self.max_history
        history = np.full((len(users), length), -1, np.int64)
        ages = np.zeros((len(users), length), np.float32)
        for row, user in enumerate(users):
            latest, times = (array[-length:] for array in seen.of(user))
            if len(latest):
                history[row, -len(latest) :], ages[row, -len(latest) :] = latest, now - times
        entries = torch.from_numpy(history)
        places = entries.clamp(min=0)
        vectors, sales = (
            each[places] * (entries >= 0).unsqueeze(-1) for each in (self.items.vectors, self.items.sales)
        )
        found, click, purchase, spend, variety, again = self._encode(vectors, sales, torch.from_numpy(ages), entries)
        scores = (found @ self.items.vectors.T).scatter_add_(1, places, again)
        return Users(scores, click, purchase, spend, variety)

    def tops(self, night: Night, users: np.ndarray, length: int) -> np.ndarray:
        """int64[users, length]: each user's best items by what was known at the cut, -1 behind the last."""
        seen, found = night.histories.between(-np.inf, night.cut), []
        for low in range(0, len(users), BLOCK):
            scores = self.users(seen, users[low : low + BLOCK], night.cut).scores
            found.append(scores.topk(min(length, scores.shape[1]), dim=1).indices.numpy())
        tops = np.concatenate(found)
        return np.pad(tops, ((0, 0), (0, length - tops.shape[1])), constant_values=-1)

    def answers(self, night: Night, shown: Exposures, now: float) -> dict[str, np.ndarray]:
        """float64[rows] logits of click and of purchase of what was shown, by what was known at the time ``now``."""
        seen = night.histories.between(-np.inf, now)
        found = {name: np.zeros(len(shown)) for name in LOGITS}
        asked, row_of = np.unique(shown.users, return_inverse=True)
        for low in range(0, len(asked), BLOCK):
            users = self.users(seen, asked[low : low + BLOCK], now)
            rows = np.flatnonzero((row_of >= low) & (row_of < low + BLOCK))
            user, item = torch.from_numpy(row_of[rows] - low), torch.from_numpy(shown.items[rows])
            for name in LOGITS:
                told = getattr(users, name)[user], getattr(self.items, name)[item], users.scores[user, item]
                found[name][rows] = logits(*told).numpy()
        return found

    def spend(self, night: Night, users: np.ndarray, items: np.ndarray, now: float) -> np.ndarray:
        """float64[rows]: money expected of a purchase of the item by the user, by what was known at ``now``."""
        seen, found = night.histories.between(-np.inf, now), np.zeros(len(users))
        asked, row_of = np.unique(users, return_inverse=True)
        for low in range(0, len(asked), BLOCK):
            of_users = self.users(seen, asked[low : low + BLOCK], now).spend
            rows = np.flatnonzero((row_of >= low) & (row_of < low + BLOCK))
            pairs = of_users[torch.from_numpy(row_of[rows] - low)] * self.items.spend[torch.from_numpy(items[rows])]
            found[rows] = pairs.sum(-1).exp().numpy()
        return found


def catalogue(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Descriptions and vectors of the items that an export holds, read from disk as they are asked for; none or many.

    Returns:
        int64[items] ascending, float32[items, all that the item encoder tells].
    """
    if not (folder / "descriptions.npy").exists():
        return np.empty(0, np.int64), np.empty((0, 0), np.float32)
    return np.load(folder / "descriptions.npy"), np.load(folder / "vectors.npy", mmap_mode="r")


class Exported:
    """An export, loaded as scoring loads it: torch and tokenizers, no code of ours."""

    def __init__(self, folder: Path):
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.known = {
            item: place for place, item in enumerate(json.loads((folder / "items.json").read_text()), start=1)
        }
        self.tags = {tag: number for number, tag in enumerate(json.loads((folder / "tags.json").read_text()), start=1)}
        self.descriptions, self.vectors = catalogue(folder)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.item_encoder, self.user_encoder = (
            torch.export.load(folder / f"{name}_encoder.pt2").module() for name in ("item", "user")
        )

    def serve(self, night: Night) -> Served:
        """The export over the night's whole catalogue."""
        return Served(self.items(night), self.user_encoder, self.manifest["max_history"])

    @torch.no_grad()
    def items(self, night: Night) -> Items:
        """Every item of the catalogue: as it was exported where it is described as then, and else encoded.

        How it sells is counted at the night's cut.
        """
        places = self._exported(night)
        others = np.flatnonzero(places < 0)
        order = others[np.lexsort((night.text_of[others], self._lengths(night)[others]))]
        found = [self._encoded(night, order[low : low + TEXT_BLOCK]) for low in range(0, len(order), TEXT_BLOCK)]
        if len(others) == len(places):
            rows = np.empty((len(places), found[0].shape[1]), np.float32)
        else:
            rows = self.vectors[places.clip(min=0)]
        if found:
            rows[order] = np.concatenate(found)
        dim = self.manifest["dim"]
        width = (rows.shape[1] - dim) // len(PAIRED)
        told = torch.from_numpy(rows).split([dim, *[width] * len(PAIRED)], dim=1)
        return Items.counted(told, sales(night, night.cut), self.manifest["pull"])

    def _exported(self, night: Night) -> np.ndarray:
        """int64[items]: the row of ``vectors``, -1 for an item that isn't described as it was."""
        if not len(self.descriptions):
            return np.full(len(night.item_ids), -1)
        wanted = np.array(list(map(description, night.item_ids, *night.described())), np.int64)
        places = np.searchsorted(self.descriptions, wanted).clip(max=len(self.descriptions) - 1)
        return np.where(self.descriptions[places] == wanted, places, -1)

    @staticmethod
    def _lengths(night: Night) -> np.ndarray:
        return np.array([len(text) for text in night.texts])[night.text_of]

    def _encoded(self, night: Night, items: np.ndarray) -> np.ndarray:
        """float32[n, all that the item encoder tells] of these items, from their texts, their tags and themselves."""
        encodings = self.tokenizer.encode_batch([night.texts[text] for text in night.text_of[items]])
        ids = torch.tensor([encoding.ids for encoding in encodings])
        mask = torch.tensor([encoding.attention_mask for encoding in encodings])
        numbers = np.array([0, *(self.tags.get(name, 0) for name in night.tag_names)])[night.tags[items]]
        tags = np.zeros((len(items), self.manifest["max_tags"]), np.int64)
        tags[:, : numbers.shape[1]] = numbers[:, : tags.shape[1]]
        index = np.array([self.known.get(night.item_ids[item], 0) for item in items])
        told = self.item_encoder(ids, mask, *map(torch.from_numpy, (tags, index)))
        return torch.cat(told, dim=1).numpy()
