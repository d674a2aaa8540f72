"""The champion as the start of a later night: whether it fits, copies of its files, and its weights in a new model.

An item or a tag has another number every night, so their rows go by id and by name; all other tensors go as they are.
"""

import json
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import torch
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from safetensors import safe_open
from torch import nn

from training import tracking
from training.consolidate import tensors
from training.data import Night
from training.export import FORMAT

log = logging.getLogger("training.champion")

WEIGHTS, ITEM_IDS, TAG_NAMES, MANIFEST = (
    "model.safetensors",
    "export/items.json",
    "export/tags.json",
    "export/manifest.json",
)
CHOICE = "champion.json"  # written last: where it is, what it speaks of is whole

OWN = ("items.own.weight", "items.own_bias.weight")
COUNTED = ("heads.usual.weight",)  # of a moment, whatever the recipe learns
BY_ITEM, BY_TAG = (*OWN, *COUNTED), ("items.tags.weight",)


@dataclass(frozen=True)
class Champion:
    """A model that a night starts from, as files of the night's own.

    Args:
        folder: of these files, named as in the champion's run.
        run_id, version: its MLflow run and model version.
        trained_before: the midnight that closed its training, in days since 1970-01-01 UTC.
    """

    folder: Path
    run_id: str
    version: str
    trained_before: float

    def vectors(self, night: Night) -> tuple[np.ndarray, np.ndarray]:
        """int64[n] positions of the night's known items that the champion knew, and its float32[n, id_dim] of them."""
        ours, theirs = self._items(night)
        with safe_open(self.folder / WEIGHTS, "pt") as file:
            return ours, file.get_tensor(OWN[0])[theirs + 1].float().numpy()

    @torch.no_grad()
    def adopt(self, model: nn.Module, night: Night, counted: Collection[str] = COUNTED) -> None:
        """Copy what the champion learned into the night's model of the same shapes; it must have no adapters yet.

        Rows of items and tags that the champion didn't know stay as they are.

        Args:
            counted: tensors that the night counts itself, which stay as they are: the champion's know days that the
                night's older queries don't.
        """
        rows = dict.fromkeys(BY_ITEM, self._items(night))
        rows |= dict.fromkeys(BY_TAG, _shared(night.tag_names, self._names(TAG_NAMES)))
        with safe_open(self.folder / WEIGHTS, "pt") as file:
            for each in tensors(model):
                if each.name in counted:
                    continue
                told, value = file.get_tensor(each.name), each.value()
                if each.name not in rows:
                    value.copy_(told)
                    continue
                ours, theirs = (torch.from_numpy(np.append(0, places + 1)) for places in rows[each.name])
                value[ours] = told[theirs].to(value.dtype)
        known = len(self._items(night)[0])
        log.info("starts from version %s, which knew %d of %d items", self.version, known, night.known)

    def _items(self, night: Night) -> tuple[np.ndarray, np.ndarray]:
        return _shared(night.item_ids[: night.known], self._names(ITEM_IDS))

    def _names(self, name: str) -> list[str]:
        return json.loads((self.folder / name).read_text())


def choose(client: MlflowClient, folder: Path, night: Night, model: Callable[[], nn.Module]) -> Champion | None:
    """The champion that the night starts from, or None where it starts from the backbone; the log says why.

    Chosen once: its files are copied to ``folder``, and whoever is champion later, a killed run goes on from them.

    Args:
        model: makes a model of the recipe's shapes for this night; called only where there is a champion to compare.
    """
    choice = folder / CHOICE
    if not choice.exists():
        (folder / "export").mkdir(parents=True, exist_ok=True)
        version = tracking.champion(client)
        unfit = _unfit(client, version, folder, night, model) if version else "there is no champion"
        told = {"unfit": unfit} if unfit else {"run_id": version.run_id, "version": str(version.version)}
        draft = choice.with_suffix(".draft")
        draft.write_text(json.dumps(told, indent=1))
        draft.replace(choice)
    told = json.loads(choice.read_text())
    if told.get("unfit"):
        log.info("starts from the backbone: %s", told["unfit"])
        return None
    trained_before = json.loads((folder / MANIFEST).read_text())["trained_before"]
    return Champion(folder, told["run_id"], told["version"], trained_before)


def _unfit(
    client: MlflowClient, version: ModelVersion, folder: Path, night: Night, model: Callable[[], nn.Module]
) -> str | None:
    """Why the night can't start from that version, or None: then its files lie in ``folder``."""
    who, run_id = f"champion {version.version}", version.run_id
    held = {file.path for each in (None, "export") for file in client.list_artifacts(run_id, each)}
    for name in (MANIFEST, ITEM_IDS, TAG_NAMES, WEIGHTS):
        if name not in held:
            return f"{who} has no {name}"
        download_artifacts(run_id=run_id, artifact_path=name, dst_path=str((folder / name).parent))
        if name == MANIFEST:
            manifest = json.loads((folder / MANIFEST).read_text())
            if manifest["format"] != FORMAT:
                return f"the export of {who} has format {manifest['format']}, not {FORMAT}"
            if not manifest["trained_before"] < night.cut:
                until, cut = _midnight(manifest["trained_before"]), _midnight(night.cut)
                return f"{who} was trained on what came before {until}, and this night ends training at {cut}"
    apart = _apart(folder / WEIGHTS, model())
    return f"{who} has other shapes: {apart}" if apart else None


def _apart(path: Path, model: nn.Module) -> str:
    """The first difference of the file's tensors and the model's, which may have more or fewer items and tags."""
    ours = {each.name: each.shape for each in tensors(model)}
    with safe_open(path, "pt") as file:
        theirs = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (no mapping)
    for name in sorted(ours.keys() | theirs.keys()):
        first = 1 if name in BY_ITEM + BY_TAG else 0
        mine, other = (shapes[name][first:] if name in shapes else "none" for shapes in (ours, theirs))
        if mine != other:
            return f"{name} is {other}, here {mine}"
    return ""


def _shared(ours: list[str], theirs: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """int64[n] twice: where each name that both lists have stands in the first, and where in the second."""
    lists = (np.asarray(each, dtype=str) for each in (ours, theirs))
    _, mine, other = np.intersect1d(*lists, assume_unique=True, return_indices=True)
    return mine, other


def _midnight(days: float) -> date:
    return date(1970, 1, 1) + timedelta(days=days)
