"""Packing: no token is lost, none sees another text, and a mean is its own text's."""

import numpy as np
import torch

from training.packing import means, pack, visible


def test_first_fit_longest_first():
    packed = pack([[5, 6], [7, 8, 9], [4]], [[1, 0], [0, 0, 1], [0]], width=4, pad=0)
    assert packed.ids.tolist() == [[7, 8, 9, 4], [5, 6, 0, 0]]
    assert packed.segment.tolist() == [[1, 1, 1, 2], [0, 0, -1, -1]]
    assert packed.position.tolist() == [[0, 1, 2, 0], [0, 1, 0, 0]]
    assert packed.special.tolist() == [[False, False, True, False], [True, False, True, True]]


def test_without_a_width_each_text_has_its_row():
    packed = pack([[5, 6], [7, 8, 9]], [[0, 0], [0, 0, 0]], width=0, pad=0)
    assert packed.segment.tolist() == [[1, 1, 1], [0, 0, -1]]


def test_a_text_longer_than_the_width_widens_the_rows():
    assert pack([[1, 2, 3], [4]], [[0] * 3, [0]], width=2, pad=0).ids.tolist() == [[1, 2, 3], [4, 0, 0]]


def test_a_token_sees_its_own_text():
    segment = torch.tensor([[0, 0, 1, -1]])
    seen = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert visible(segment, causal=False)[0, 0].int().tolist() == seen
    assert visible(segment, causal=True)[0, 0].int().tolist() == np.tril(seen).tolist()


def test_means():
    states = torch.tensor([[[1.0], [3.0], [10.0]], [[4.0], [7.0], [9.0]]])
    segment = torch.tensor([[0, 0, 1], [2, -1, -1]])
    assert means(states, segment, 4).tolist() == [[2.0], [10.0], [4.0], [0.0]]
