"""Checkpoints of one stage of one recipe and day: resume after a kill, never continue something else.

Folder: $NIGHT_CHECKPOINTS (default var/checkpoints) / recipe / day / stage (a fold of cross-validation has
"day-of-night" in place of the day), with one DeepSpeed folder a step,
DeepSpeed's own ``latest`` naming the newest whole one, and ``run.json`` saying what they belong to. On several hosts it
must be shared.
"""

import json
import os
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

KEPT = 2  # the newest, and the one before it should the newest be damaged


@dataclass(frozen=True)
class Checkpoints:
    """The folder of one recipe, day and stage."""

    folder: Path

    @staticmethod
    def of(recipe: str, day: date, stage: str, night: date | None = None) -> "Checkpoints":
        root = Path(os.environ.get("NIGHT_CHECKPOINTS", "var/checkpoints"))
        return Checkpoints(root / recipe / (f"{day}-of-{night}" if night else str(day)) / stage)

    @property
    def model(self) -> Path:
        """What the finished stage leaves: a folder with ``model.safetensors`` and what belongs to it."""
        return self.folder / "model"

    @property
    def _card(self) -> Path:
        return self.folder / "run.json"

    def card(self) -> dict:
        """What the checkpoints belong to; empty where there are none."""
        return json.loads(self._card.read_text()) if self._card.exists() else {}

    def write_card(self, **entries) -> None:
        """Add entries; replaced in one step, so that a kill leaves the old card or the new one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self._card.with_suffix(".draft")
        draft.write_text(json.dumps({**self.card(), **entries}, indent=1, default=str))
        draft.replace(self._card)

    def check(self, identity: dict) -> None:
        """That the checkpoints belong to this recipe, data and number of ranks.

        Raises:
            ValueError: if not; the message names each difference.
        """
        card = self.card()
        wrong = [
            f"{key} was {card[key]!r}, is {value!r}" for key, value in identity.items() if card.get(key, value) != value
        ]
        if wrong:
            raise ValueError(
                f"the checkpoint in {self.folder} is another run's ({'; '.join(wrong)}); delete it to start anew"
            )

    def latest(self) -> int:
        """Steps done in the newest whole checkpoint; 0 where there is none."""
        latest = self.folder / "latest"
        return int(latest.read_text().removeprefix("step")) if latest.exists() else 0

    def prune(self) -> None:
        """Delete all but the newest whole ones."""
        newest = self.latest()
        steps = sorted(int(path.name.removeprefix("step")) for path in self.folder.glob("step*"))
        for step in [step for step in steps if step <= newest][:-KEPT]:
            shutil.rmtree(self.folder / f"step{step}")
