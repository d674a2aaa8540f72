"""The language model of an export in fewer bits: exported anew, and judged like any other."""

import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from benchmarks.compression.night import Asked
from training.backbone import TextEncoder, load_backbone, tokenise
from training.compress import compressed
from training.export import ItemProgram, write_items
from training.heads import Heads
from training.model import ItemTower
from training.precision import product_type
from training.recipes import recipe
from training.served import Exported

TEXTS, QUICK_TEXTS = 2048, 256
BLOCK = 256  # texts at a time, as many as scoring reads
ROUNDS, QUICK_ROUNDS = 5, 1


def compare(export: Path, asked: Asked, backbone: str | None, quick: bool) -> dict[str, dict]:
    """Figures by the numbers that the language model is kept and multiplied in."""
    texts, items, heads = encoders(export, backbone or recipe("cpu").backbone_folder)
    exported, found, beside = {}, {}, None
    with tempfile.TemporaryDirectory(prefix="compression-") as place:
        for name, (encoder, bfloat16) in _variants(texts).items():
            folder = Path(place) / name.replace(" ", "_")
            shutil.copytree(export, folder, ignore=shutil.ignore_patterns("item_encoder.pt2", "*.npy"))
            _write(ItemProgram(encoder, items, heads, bfloat16=bfloat16).eval(), asked, folder)
            exported[name] = Exported(folder)
            lists = asked.tops(exported[name].serve(asked.night))
            beside = lists if beside is None else beside
            found[name] = {
                "text_mb": sum(each.nbytes for each in encoder.state_dict().values()) / 1e6,
                "file_mb": (folder / "item_encoder.pt2").stat().st_size / 1e6,
                **asked.accuracy(lists, beside),
            }
    for name, rate in _rates(exported, asked, quick).items():
        found[name]["texts_per_second"] = rate
    return found


def encoders(export: Path, backbone: str) -> tuple[TextEncoder, ItemTower, Heads]:
    """Text encoder, item tower and heads with the export's weights.

    Raises:
        ValueError: if its language model isn't made of that backbone.
    """
    state: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in torch.export.load(export / "item_encoder.pt2").state_dict.items():
        part, _, rest = name.partition(".")
        state.setdefault(part, {})[rest] = value
    texts, held = load_backbone(backbone), state["items"]
    (text_dim, text_width), (tags, _), (items, id_dim) = (
        held[f"{name}.weight"].shape for name in ("project", "tags", "own")
    )
    head_dim, dim = state["heads"]["items.spend.weight"].shape[0], state["heads"]["user_norm.weight"].shape[0]
    tower, heads = ItemTower(text_width, items - 1, tags - 1, dim, text_dim, id_dim), Heads(1, dim, items - 1, head_dim)
    tower.load_state_dict(held)
    of_items = {name: value for name, value in state["heads"].items() if not name.startswith(("users", "query"))}
    heads.load_state_dict(of_items, strict=False)  # an item is read without what is said of users
    try:
        texts.load_state_dict(state["texts"])
    except RuntimeError as error:
        raise ValueError(f"the language model of {export} is none of {backbone}; name its folder: {error}") from error
    return (*(part.eval().requires_grad_(False) for part in (texts, tower, heads)),)


def _variants(texts: TextEncoder) -> dict[str, tuple[nn.Module, bool]]:
    """By name, an encoder and whether it multiplies in bfloat16 where this processor does."""
    half = {"bfloat16": (texts, True)}  # kept in float32 all the same, as fine-tuning exports it
    return {
        "float32": (texts, False),
        **(half if product_type("cpu", True) == torch.bfloat16 else {}),
        "int8 weights": (compressed(texts), True),
        "int8 weights and inputs": (compressed(texts, dynamic=True), True),
    }


def _write(program: ItemProgram, asked: Asked, folder: Path) -> None:
    """The item encoder, beside the rest of the export."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    manifest = json.loads((folder / "manifest.json").read_text())
    ids, mask = map(torch.from_numpy, tokenise(tokenizer, [asked.night.texts[0], "-", asked.night.texts[-1]]))
    tags = torch.zeros(3, manifest["max_tags"], dtype=torch.long)
    write_items(program, (ids, mask, tags, torch.tensor([1, 0, 0])), manifest["max_tokens"], folder)


@torch.no_grad()
def _rates(exported: dict[str, Exported], asked: Asked, quick: bool) -> dict[str, float]:
    """Distinct texts that one core reads in a second of its time, the median of rounds in which all take turns."""
    texts = sorted(asked.night.texts, key=len)
    chosen = np.linspace(0, len(texts) - 1, min(QUICK_TEXTS if quick else TEXTS, len(texts))).astype(int)
    seconds: dict[str, list[float]] = {name: [] for name in exported}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for _ in range(QUICK_ROUNDS if quick else ROUNDS):
        for name, each in exported.items():
            taken = 0.0
            for low in range(0, len(chosen), BLOCK):
                block = [texts[place] for place in chosen[low : low + BLOCK]]
                ids, mask = map(torch.from_numpy, tokenise(each.tokenizer, block))
                rest = torch.zeros(len(ids), each.manifest["max_tags"] + 1, dtype=torch.long)
                began = time.thread_time()
                each.item_encoder(ids, mask, rest[:, 1:], rest[:, 0])
                taken += time.thread_time() - began
            seconds[name].append(taken)
    torch.set_num_threads(threads)
    return {name: len(chosen) / float(np.median(each)) for name, each in seconds.items()}
