"""How two opinions become probabilities and one class."""

import numpy as np
import pytest

from training.verdict import Verdict, macro_f1, settled


def test_macro_f1_by_hand():
    truth, told = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 2, 0])
    assert macro_f1(truth, told, 3) == pytest.approx((2 / 4 + 2 / 3 + 4 / 5) / 3)
    assert macro_f1(np.array([0, 0]), np.array([0, 0]), 2) == 0.5  # the other class counts 0


def test_probabilities_are_those_of_the_weighed_sum():
    verdict = Verdict((2.0, 0.5), np.array([0.0, np.log(3)]), np.zeros(2))
    words, read = np.array([[np.log(2), 0.0]]), np.array([[0.0, np.log(4)]])
    assert np.exp(verdict.log_probabilities(words, read)) == pytest.approx(np.array([[4 / 10, 6 / 10]]))


def test_who_tells_the_truth_is_trusted_and_who_tells_nothing_is_not():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(4000, 3)) * 2
    classes = (np.exp(truth) / np.exp(truth).sum(1, keepdims=True)).cumsum(1)
    classes = (rng.random((4000, 1)) > classes).sum(1).clip(max=2)
    found = settled(rng.normal(size=(4000, 3)), truth / 4, classes)  # four times too timid
    assert found.scales[0] == pytest.approx(0, abs=0.1)
    assert found.scales[1] == pytest.approx(4, rel=0.1)


def test_a_rare_class_is_told_although_it_is_never_the_likeliest():
    """Where words say yes three in ten are of the rare class, elsewhere none: it is never likelier than the other."""
    words = np.array([[0.0, 1.0]] * 100 + [[0.0, -9.0]] * 100)
    classes = np.array([1] * 30 + [0] * 170)
    found = settled(words, np.zeros((200, 2)), classes)
    assert np.exp(found.log_probabilities(words, np.zeros((200, 2))))[0, 1] == pytest.approx(0.3, abs=0.01)
    assert found.classes(words, np.zeros((200, 2))).tolist() == [1] * 100 + [0] * 100
