"""What a model has to beat, by hand."""

import numpy as np
import pytest

from tests.training.conftest import DAY, write_histories, write_items
from training.baselines import most_popular, top_frequency
from training.data import load


@pytest.fixture
def night(tmp_path):
    """The held-out days are the last seven; most buy b, and u bought a twice long ago and c once of late."""
    write_histories(
        tmp_path,
        {
            "u": [("a", 130), ("a", 129), ("c", 8), ("d", 3)],
            "v": [("b", 9), ("b", 8), ("d", 2)],
            "w": [("b", 10)],
            "x": [("d", 1)],
        },
    )
    write_items(tmp_path, {name: name for name in "abcde"})
    return load(str(tmp_path), DAY)


def named(night, tops):
    return ["".join(night.item_ids[item] for item in row) for row in tops]


def test_popularity_is_of_everybody_and_of_late(night):
    assert named(night, most_popular(night, np.array([0, 3]), 3)) == ["bca", "bca"]


def test_frequency_is_the_users_own_then_popularity(night):
    users = np.arange(4)
    # two purchases 129 days old weigh less than one of last week, unless nothing is forgotten
    assert named(night, top_frequency(night, users, 3)) == ["cab", "bca", "bca", "bca"]
    assert named(night, top_frequency(night, users[:1], 3, half_life=1e9)) == ["acb"]
