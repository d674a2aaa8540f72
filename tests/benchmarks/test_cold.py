"""What the benchmark of cold start hides, and what it asks."""

import numpy as np

from benchmarks.accuracy.journey import Journey
from benchmarks.accuracy.ours import Catalogue
from benchmarks.accuracy.protocol import Split
from benchmarks.profiles import cold
from training.data import Histories
from training.metrics import Relevant

# ann bought 0 and 1 in one basket, then 2; bob nothing; cy 1
SEEN = Histories(np.array([0, 3, 3, 4]), np.array([0, 1, 2, 1]), np.arange(4.0), np.ones(4), np.array([10, 10, 11, 12]))
CATALOGUE = Catalogue(["a", "b", "c", "d"], [""] * 4, [None] * 4, [["x"], ["x"], ["y"], ["y"]])


def test_hidden_events_are_gone_and_users_stay_where_they_are():
    left = cold.only(SEEN, np.array([True, False, False, True]))
    assert left.offsets.tolist() == [0, 1, 1, 2]
    assert left.items.tolist() == [0, 1]
    assert left.baskets.tolist() == [10, 12]


def test_of_a_last_basket_everything_is_known():
    assert cold.only(SEEN, SEEN.items < 2).offsets.tolist() == [0, 2, 2, 3]
    last = cold._last_baskets(cold.only(SEEN, SEEN.items < 2))
    assert [last.of(user)[0].tolist() for user in range(3)] == [[0, 1], [], [1]]
    assert cold._last_baskets(SEEN).items.tolist() == [2, 1]


def test_only_who_took_something_of_what_is_asked_about_is_asked():
    split = Split(SEEN, SEEN, 4, 4.0, np.array([0, 2]), Relevant.of([np.array([1, 3]), np.array([0])]))
    asked = cold._about(split, lambda user, taken: taken[taken > 0])
    assert asked.users.tolist() == [0]
    assert asked.relevant.items.tolist() == [1, 3]


def test_a_hidden_product_is_as_popular_as_the_known_ones_of_its_category():
    data = Journey(["ann", "bob", "cy"], SEEN, CATALOGUE)
    hidden = np.array([False, True, False, True])
    assert cold._of_categories(SEEN, hidden, data).tolist() == [1, 1, 1, 1]
    assert cold._of_categories(SEEN, np.array([False, False, True, True]), data).tolist() == [3, 3, 0, 0]
