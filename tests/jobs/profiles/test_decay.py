"""What lines weigh, by hand."""

import numpy as np
import pytest

from jobs.profiles.decay import KEPT, NEVER, decayed, settle


@pytest.mark.parametrize("days", [[0, 28, 56], [-28, 0, KEPT + 5], []])
def test_half_of_it_is_left_after_a_half_life_however_far_a_clock_is_off(days):
    assert decayed(np.array(days, np.int64), 28).tolist() == [2.0 ** (-each / 28) for each in days]


def test_each_sum_takes_what_settles_one_after_the_other():
    weights, settled = np.zeros((3, 3)), np.array([NEVER, 100, 100])
    weights[:, 1:] = 4.0
    place, settles = np.array([0, 1, 1]), np.array([107, 128, 156])
    settle(weights, settled, place, settles, day=settles - 28, lines=np.array([2, 1, 3]))
    # by 28 days: 2 lines of 28 days ago; 4 / 2 + 1 / 2, and 28 days later half of that and 3 / 2; untouched
    assert weights[0] == pytest.approx([1.0, 2.75, 4.0])
    assert weights[1, 0] == pytest.approx(2 * 2 ** (-28 / 91))
    assert settled.tolist() == [107, 156, 100]
