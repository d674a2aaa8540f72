"""The peers as their papers define them, on a few users worked by hand."""

import numpy as np
import pytest

from benchmarks import peers
from training.data import Histories

CUT = 100.0
A, B, C = 0, 1, 2


def histories(*users):
    """Each user: (item, days before the cut), oldest first; lines of one age are one basket."""
    lines = [line for lines in users for line in lines]
    items, ages = (np.array(column) for column in zip(*lines, strict=True))
    offsets = np.concatenate([[0], np.cumsum([len(lines) for lines in users])])
    return Histories(offsets, items, CUT - ages, np.ones(len(lines)), ages)


def test_item_knn_is_the_shrunken_cosine_of_users():
    seen = histories([(A, 3), (B, 2), (B, 1)], [(A, 2), (B, 1)], [(B, 1)], [(C, 1)])
    scores = peers.item_knn(seen, 3, CUT, shrink=10)(np.array([2, 3]))
    # a and b share two users; two bought a, three b
    assert scores[0] == pytest.approx([2 / (6**0.5 + 10), 0, 0])
    assert scores[1].tolist() == [0, 0, 0]


def test_item_knn_keeps_the_nearest_of_each_item():
    seen = histories([(A, 2), (B, 1)], [(A, 2), (B, 1)], [(A, 2), (C, 1)])
    # of a's neighbours b is the nearer: who bought a is shown b alone
    assert peers.item_knn(seen, 3, CUT, neighbours=1, shrink=0)(np.array([0]))[0][C] == 0


def test_tifu_decays_baskets_within_groups_and_groups():
    seen = histories([(A, 30), (B, 20), (A, 10)])
    # two groups, the first with one basket: a 1 * .5 / 2; then b .5 / 2 / 2 and a 1 / 2 / 2
    scores = peers.tifu_knn(seen, 3, CUT, neighbours=1, groups=2, within=0.5, across=0.5, own=1.0)(np.array([0]))
    assert scores[0].tolist() == [0.25 + 0.25, 0.125, 0]


def test_tifu_blends_with_the_nearest_users():
    seen = histories([(A, 10)], [(A, 10), (B, 10)], [(C, 10)])
    scores = peers.tifu_knn(seen, 3, CUT, neighbours=1, groups=1, own=0.75)(np.array([0]))
    assert scores[0].tolist() == [1.0, 0.25, 0.0]
