"""What the benchmark of privacy measures once, and when it measures anew."""

from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from benchmarks import private
from training.recipes import recipe


def test_what_was_measured_is_kept_until_the_recipe_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(private, "PLACE", tmp_path)
    chosen, told = recipe("cpu_private"), iter([{"epsilon": inf}, {"epsilon": 1.0}, {"epsilon": 2.0}])
    assert private._kept("a", chosen, False, lambda: next(told)) == {"epsilon": inf}
    assert private._kept("a", chosen, False, lambda: next(told)) == {"epsilon": inf}
    assert private._kept("a", replace(chosen, steps=9), False, lambda: next(told)) == {"epsilon": 1.0}
    # a quick look leaves nothing that a whole run would take for its own
    assert private._kept("b", chosen, True, lambda: next(told)) == {"epsilon": 2.0}
    assert len(list(tmp_path.iterdir())) == 2
