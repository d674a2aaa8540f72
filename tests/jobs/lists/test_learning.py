"""What exploration costs, by hand: one list whose second place may go to one of two other items."""

import numpy as np
import pytest

from jobs.lists.held import Held
from jobs.lists.learning import afforded, cost
from jobs.ranking.rerank import Tastes
from jobs.ranking.trial import Trial
from tests.jobs.lists.test_choice import shelf

__all__ = ["shelf"]  # the fixture


def held(shelf, *taken, categories=(0, 1, 2, 3)):
    """Relevance puts apple first and pear second; bread is known, and cake has just arrived."""
    positions = np.array([[shelf.named.number("item", name) for name in ("apple", "pear", "bread", "cake")]])
    hits = np.array([[name in taken for name in ("apple", "pear", "bread", "cake")]])
    values = {"relevance": np.array([[1.0, 0.75, 0.5, 0.25]])}
    tastes = Tastes.of(np.array([categories]), np.zeros(0, int), np.zeros(0, int))
    trial = Trial(values, shelf.units, positions, hits, 1.0 * hits, hits.sum(axis=1), 2, tastes)
    return Held(trial, {}, np.ones(1), np.array(["everybody"]), ("ndcg",), values["relevance"])


PLAIN = {"relevance": 1.0, "diversity": 0.0}


def test_a_place_costs_what_stood_there_less_what_is_tried(shelf):
    # bread and cake are tried alike often, for half of the places are for what has just arrived
    assert cost(held(shelf, "pear"), PLAIN, shelf) == pytest.approx(1.0)
    assert cost(held(shelf, "pear", "cake"), PLAIN, shelf) == pytest.approx(0.5)
    assert cost(held(shelf, "apple"), PLAIN, shelf) == 0
    # apple gains 1, and the second place might gain half of 1 / log2(3)
    assert cost(held(shelf, "apple", "bread"), PLAIN, shelf) == pytest.approx(-0.5 / np.log2(3))


def test_lists_are_those_of_the_policys_parameters_and_what_is_tried_keeps_to_their_cap(shelf):
    # apple and bread are of one category, pear and cake of another, and a list has one of each: only cake may be tried
    both = held(shelf, "pear", "cake", categories=(0, 1, 0, 1))
    assert cost(both, PLAIN | {"category_share": 0.5}, shelf) == pytest.approx(0.0)
    assert cost(held(shelf, "pear", categories=(0, 0, 1, 1)), PLAIN | {"category_share": 0.5}, shelf) == 0
    assert cost(both, PLAIN, shelf) == pytest.approx(0.5)


def test_no_more_places_are_explored_than_the_bound_affords():
    assert [afforded(each) for each in (-0.5, 0.0, 0.05, 0.2, 0.5)] == pytest.approx([0.2, 0.2, 0.2, 0.1, 0.04])
