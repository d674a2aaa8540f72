"""How the heads' probabilities are corrected."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.conftest import DAY
from training import calibrate
from training.calibration import Platt
from training.data import load
from training.exposures import Exposures
from training.start import build, remember


def test_the_heads_are_corrected_by_users_left_out(lake: Path, tiny, monkeypatch: pytest.MonkeyPatch):
    part = load(str(lake), DAY).training()
    users = np.repeat(np.arange(len(part.user_ids)), 8)
    days = np.full(len(users), part.cut - 3)
    items = np.tile(np.arange(8), len(part.user_ids))
    bought = (items % 2).astype(np.float32)
    shown = Exposures(
        users, days, items, np.full(len(users), np.nan, np.float32), bought, np.ones(len(users), np.float32)
    )
    part = replace(part, exposures=shown)
    model = build(tiny, part, tiny.backbone_folder).recommender
    remember(model, tiny, part, part.cut - 7)
    table = torch.randn(len(part.texts), 16)
    monkeypatch.setattr(calibrate, "left_out", lambda users: np.arange(len(users)) < 20)
    found = calibrate.corrections(model, tiny, part, table, ("next_item", "purchase"))
    assert set(found) == {"purchase"}
    assert isinstance(found["purchase"], Platt)
    assert calibrate.corrections(model, tiny, part, table, ("next_item",)) == {}
    monkeypatch.setattr(calibrate, "left_out", lambda users: np.arange(len(users)) < 2)
    assert calibrate.corrections(model, tiny, part, table, ("next_item", "purchase")) == {}  # 8 purchases tell nothing
