"""The regression of words and pairs."""

import numpy as np
import pytest
import torch

from training.words import MIX, PAIRS, Words


def tokens(*texts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    width = max(map(len, texts))
    ids = np.array([text + [0] * (width - len(text)) for text in texts])
    return ids, np.array([[1] * len(text) + [0] * (width - len(text)) for text in texts])


def test_a_text_is_the_set_of_its_tokens_and_pairs():
    words = Words(9, 2)
    places, present = words.places(*map(torch.from_numpy, tokens([3, 4, 3, 4], [5])))
    pairs = [9 + (first * MIX + second) % PAIRS for first, second in ((3, 4), (4, 3))]
    assert places[0][present[0]].tolist() == sorted([3, 4, *pairs])
    assert places[1][present[1]].tolist() == [5]


def test_logits_are_weights_by_rarity_over_the_length():
    words = Words(9, 2)
    words.rarity[3], words.rarity[4] = 3.0, 4.0
    words.weight[3], words.weight[4] = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    words.bias[:] = torch.tensor([0.5, 0.0])
    told = words(*map(torch.from_numpy, tokens([3, 4], [8])))
    assert told.tolist() == [pytest.approx([0.6 + 0.5, 0.8]), pytest.approx([0.5, 0.0])]


def test_a_pair_says_what_its_words_do_not():
    """1 is not, 2 good, 3 bad: good and not bad are 1, bad and not good 0; not alone tells nothing."""
    ids, mask = tokens(*[[2, 4], [1, 3], [3, 4], [1, 2]] * 10)
    classes = np.array([1, 1, 0, 0] * 10)
    words = Words(9, 2)
    words.fit(ids, mask, classes)
    assert words(*map(torch.from_numpy, (ids, mask))).argmax(1).tolist() == classes.tolist()


def test_a_rare_class_weighs_as_much_as_a_frequent_one():
    ids, mask = tokens(*[[2]] * 90, *[[3]] * 10)
    words = Words(9, 2)
    words.fit(ids, mask, np.array([0] * 90 + [1] * 10))
    told = words(*map(torch.from_numpy, tokens([7])))[0]
    assert float(told[0] - told[1]) == pytest.approx(0.0, abs=0.05)  # of an unknown word neither is likelier
