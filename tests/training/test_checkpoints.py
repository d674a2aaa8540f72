"""Checkpoints: whose they are, which is newest, which are kept."""

from datetime import date
from pathlib import Path

import pytest

from training.checkpoints import Checkpoints


def test_where_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("NIGHT_CHECKPOINTS", str(tmp_path))
    assert Checkpoints.of("cpu", date(2024, 3, 31), "finetune").folder == tmp_path / "cpu/2024-03-31/finetune"
    of_fold = Checkpoints.of("cpu", date(2024, 3, 24), "finetune", date(2024, 3, 31))
    assert of_fold.folder == tmp_path / "cpu/2024-03-24-of-2024-03-31/finetune"


def test_another_recipes_checkpoint_is_refused(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path / "cpu")
    checkpoints.check({"seed": 1, "steps": 10})  # nothing there, nothing wrong
    checkpoints.write_card(seed=1, steps=10, run_id="abc")
    checkpoints.check({"seed": 1, "steps": 10})
    with pytest.raises(ValueError, match=r"another run's \(steps was 10, is 20\); delete it to start anew"):
        checkpoints.check({"seed": 1, "steps": 20})


def test_a_whole_checkpoint_is_never_given_up_for_a_half_one(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.latest() == 0
    for step in (5, 10, 15, 20):
        (tmp_path / f"step{step}").mkdir()
    (tmp_path / "latest").write_text("step15")  # step20 was being written when the kill came
    assert checkpoints.latest() == 15
    checkpoints.prune()
    assert sorted(path.name for path in tmp_path.glob("step*")) == ["step10", "step15", "step20"]
