"""How items sell of late, by hand and at every midnight."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import DAY, write_histories, write_items
from training.data import load
from training.trends import TREND_HALF_LIVES, Trends, bought_again, trend


@pytest.fixture
def night(tmp_path: Path):
    rng = np.random.default_rng(1)
    events = {
        f"u{user}": [(f"i{rng.integers(4)}", int(age)) for age in np.sort(rng.integers(8, 60, 9))[::-1]]
        for user in range(5)
    }
    write_histories(tmp_path, events)
    write_items(tmp_path, {f"i{item}": "milk" for item in range(6)})
    return load(str(tmp_path), DAY).training()


def test_counts_halve(night):
    first = night.histories.times.min()
    until = float(np.ceil(first))
    found = np.expm1(trend(night, until)) * 0.1
    bought = night.histories.items[night.histories.times < until]
    assert len(bought) >= 1
    expected = np.zeros_like(found)
    for item in bought:
        expected[item] += [0.5 ** ((until - first) / each) for each in TREND_HALF_LIVES]
    assert found == pytest.approx(expected, abs=1e-4)


def test_at_every_midnight_they_are_what_was_known_then(night):
    since = night.cut - 30
    trends = Trends(night, since)
    items = np.array([2, 5, 0])  # of the second nobody bought
    midnights = since + np.array([0.0, 1, 12, 29])
    found = trends.at(items, midnights)
    for place, midnight in enumerate(midnights):
        whole = trend(night, midnight)
        expected = [whole[item] if item < night.known else np.zeros(3) for item in items]
        np.testing.assert_allclose(found[place], expected, atol=1e-5)


def test_how_often_an_item_is_bought_again(tmp_path: Path):
    """Weeks back from the moment: a by u in weeks 3, 1 and 0, by v in week 2; b twice in one week."""
    histories = {
        "u": [("a", 22), ("a", 10), ("a", 3), ("a", 3)],
        "v": [("a", 16), ("b", 5), ("b", 4)],
    }
    write_histories(tmp_path, {user: [(item, age + 7) for item, age in events] for user, events in histories.items()})
    write_items(tmp_path, {"a": "milk", "b": "tea"})
    night = load(str(tmp_path), DAY).training()
    # of a: u's three weeks after the first saw two, v's two none; of b there was no week after
    assert np.exp(bought_again(night, night.cut)) == pytest.approx([(2 + 0.1) / (5 + 5), 0.1 / 5])
    before = np.exp(bought_again(night, night.cut - 7))  # u in weeks 2 and 0 by then, v in week 1
    assert before == pytest.approx([(1 + 0.1) / (3 + 5), 0.1 / 5])
