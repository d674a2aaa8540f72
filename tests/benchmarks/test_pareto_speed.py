"""The benchmark of re-ranking: what it values lists by, and that it refuses to time unequal ones."""

import math

import numpy as np
import pytest

from benchmarks.pareto import speed

VECTORS = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
RELEVANCE = np.array([0.5, 0.25, 0.75], np.float32)


def test_values_by_hand():
    # 0.7 of relevance; the second is like the first by 0.6, the third like the second by 0.8
    assert speed._mmr_value(VECTORS, RELEVANCE, np.array([0, 1, 2])) == pytest.approx(0.7 * 1.5 - 0.3 * (0.6 + 0.8))
    # z-scores of 0.5 and 0.25 are 0 and -sqrt(1.5), twice 0.7 of each; the determinant is 1 - 0.36
    expected = -1.4 * math.sqrt(1.5) + math.log(0.64)
    assert speed._dpp_value(VECTORS, RELEVANCE, np.array([0, 1])) == pytest.approx(expected, abs=1e-6)


def test_lists_that_are_worth_less_are_not_timed():
    lists = {"MMR": lambda: np.array([[0, 2], [0, 2]]), "MMR, pyversity": lambda: np.array([[0, 2], [0, 1]])}

    def value(user, picks):
        return speed._mmr_value(VECTORS, RELEVANCE, picks)

    with pytest.raises(ValueError, match=r"MMR: lists are worth 0\.875 and pyversity's .*not the same task"):
        speed._compared("MMR", lists, value)
    same = speed._compared("MMR", lists | {"MMR, pyversity": lists["MMR"]}, value)
    assert same == {"ours": pytest.approx(0.875), "pyversity": pytest.approx(0.875), "same_lists": 1.0}
