"""Where items start: nothing of the future, and vectors of two times that can stand for each other."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import DAY, write_histories, write_items
from training.data import load
from training.warm_start import item_biases, item_vectors, turned


@pytest.fixture
def night(tmp_path: Path):
    write_histories(tmp_path, {"u": [("a", 70), ("b", 40), ("c", 10)], "v": [("a", 60), ("b", 50)]})
    write_items(tmp_path, {name: name for name in "abc"})
    return load(str(tmp_path), DAY).training()


def test_what_was_bought_later_tells_nothing(night):
    until = night.end - 45  # a of both, b of one
    assert item_biases(night, until).tolist() == pytest.approx(
        [np.log1p(10 * (0.5 ** (24.625 / 30) + 0.5 ** (14.625 / 30))), np.log1p(10 * 0.5 ** (4.625 / 30)), 0], abs=1e-5
    )
    assert not item_vectors(night, 1, 0, until)[2].any()
    assert item_vectors(night, 1, 0, until)[:2].all()


def test_vectors_before_anything_was_bought_are_nothing(night):
    assert not item_vectors(night, 2, 0, night.end - 100).any()


def test_turned_vectors_come_back():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((9, 3)).astype(np.float32)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0].astype(np.float32)
    np.testing.assert_allclose(turned(vectors @ turn, vectors), vectors, atol=1e-5)
    products = vectors @ vectors.T
    other = turned(vectors, rng.standard_normal((9, 3)).astype(np.float32))
    np.testing.assert_allclose(other @ other.T, products, atol=1e-4)
