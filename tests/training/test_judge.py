"""Who becomes champion."""

import math

import numpy as np
import pytest

from training.baselines import best
from training.held_out import Figures
from training.judge import decide


def test_best_breaks_ties_by_position():
    assert best(np.array([[1.0, 5.0, 5.0, 0.0]]), 3).tolist() == [[1, 2, 0]]
    assert best(np.array([[1.0, 5.0, 5.0]]), 5).tolist() == [[1, 2, 0, -1, -1]]


def figures(ndcg: float) -> Figures:
    return Figures(5, {"ndcg_at_10": ndcg}, {}, {})


@pytest.mark.parametrize(
    ("candidate", "champion", "popular", "promoted"),
    [
        (0.3, None, 0.1, True),
        (0.3, 0.2, 0.1, True),
        (0.3, 0.3, 0.1, False),  # a tie keeps the champion
        (0.3, 0.4, 0.1, False),
        (0.3, None, 0.3, False),  # a tie with popularity is not better
        (0.3, 0.2, 0.4, False),
        (math.nan, None, 0.1, False),
    ],
)
def test_only_the_better_becomes_champion(candidate, champion, popular, promoted):
    given = {"candidate": candidate, "popularity": popular, "champion": champion}
    told = {name: figures(ndcg) for name, ndcg in given.items() if ndcg is not None}
    assert decide(told)[0] is promoted
