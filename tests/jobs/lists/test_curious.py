"""What an explored place may go to."""

import numpy as np

from jobs.lists.curious import waiting
from jobs.ranking.rules import Ruled


def tried(bump):
    """Of five candidates, of which the first two are listed, those that may be tried."""
    picks, all_ = np.array([[0, 1]]), np.ones((1, 5), bool)
    ruled = Ruled(all_, np.array([bump]), np.full((1, 2), -1))
    pool, shares = waiting(picks, ruled, np.full((1, 5), 0.5), np.zeros((1, 5)), ~all_)
    return set(pool[shares > 0].tolist())


def test_what_a_rule_or_a_wish_buried_is_not_tried_and_what_was_boosted_is():
    assert tried([0.0] * 5) == {2, 3, 4}
    assert tried([0.0, 0.0, -0.5, 0.25, 0.0]) == {3, 4}
    assert tried([0.0, 0.0, -0.5, -1.0, -0.5]) == set()
