"""Encodings of before: found by text, never mixed up, made again when they are lost."""

from pathlib import Path

import torch

from training.encodings import Encodings


def test_what_was_said_of_a_text_is_found_wherever_it_stands(tmp_path: Path):
    path = tmp_path / "deep/model.safetensors"
    first = Encodings(path, ["milk", "牛奶", ""])
    table = torch.tensor([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]])
    assert first.fill(torch.zeros(3, 2)).tolist() == [False] * 3  # there is no file yet
    first.keep(table)
    later = torch.full((4, 2), -1.0)
    assert Encodings(path, ["", "tea", "milk", "牛奶"]).fill(later).tolist() == [True, False, True, True]
    assert later.tolist() == [[0, 0], [-1, -1], [1, 2], [3, 4]]


def test_texts_that_left_are_kept_no_longer(tmp_path: Path):
    path = tmp_path / "model.safetensors"
    Encodings(path, ["milk", "tea"]).keep(torch.ones(2, 2))
    Encodings(path, ["tea"]).keep(torch.ones(1, 2))
    assert Encodings(path, ["milk", "tea"]).fill(torch.zeros(2, 2)).tolist() == [False, True]
    assert [each.name for each in tmp_path.iterdir()] == ["model.safetensors"]  # no draft is left


def test_where_they_lie(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("NIGHT_CHECKPOINTS", str(tmp_path))
    assert Encodings.of("some-32", ["milk"]).path == tmp_path / "encodings/some-32.safetensors"
