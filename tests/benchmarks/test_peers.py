"""The peers as their papers define them, on a few users worked by hand."""

import numpy as np
import pytest

from benchmarks.accuracy import peers

A, B, C = 0, 1, 2


def test_item_knn_is_the_shrunken_cosine_of_users(split):
    asked = split(3, [(A, 3), (B, 2), (B, 1)], [(A, 2), (B, 1)], [(B, 1)], [(C, 1)])
    scores = peers.item_knn(asked, shrink=10)(np.array([2, 3]))
    # a and b share two users; two bought a, three b
    assert scores[0] == pytest.approx([2 / (6**0.5 + 10), 0, 0])
    assert scores[1].tolist() == [0, 0, 0]


def test_item_knn_keeps_the_nearest_of_each_item(split):
    asked = split(3, [(A, 2), (B, 1)], [(A, 2), (B, 1)], [(A, 2), (C, 1)])
    # of a's neighbours b is the nearer: who bought a is shown b alone
    assert peers.item_knn(asked, neighbours=1, shrink=0)(np.array([0]))[0][C] == 0


def test_tifu_decays_baskets_within_groups_and_groups(split):
    asked = split(3, [(A, 30), (B, 20), (A, 10)])
    # two groups, the first with one basket: a 1 * .5 / 2; then b .5 / 2 / 2 and a 1 / 2 / 2
    scores = peers.tifu_knn(asked, neighbours=1, groups=2, within=0.5, across=0.5, own=1.0)(np.array([0]))
    assert scores[0].tolist() == [0.25 + 0.25, 0.125, 0]


def test_tifu_blends_with_the_nearest_users(split):
    asked = split(3, [(A, 10)], [(A, 10), (B, 10)], [(C, 10)])
    scores = peers.tifu_knn(asked, neighbours=1, groups=1, own=0.75)(np.array([0]))
    assert scores[0].tolist() == [1.0, 0.25, 0.0]


def test_top_frequency_halves_with_age_and_popularity_decides_between_equals(split):
    asked = split(3, [(A, 60), (A, 60), (B, 0)], [(C, 0), (C, 0), (B, 0)])
    plain, halved = (peers.top_frequency(asked, half_life)(np.array([0]))[0] for half_life in (np.inf, 60.0))
    assert np.argsort(-plain).tolist() == [A, B, C]
    # with a half-life of sixty days both count once; b is more popular
    assert np.argsort(-halved).tolist() == [B, A, C]
