"""The protocol of the accuracy benchmark, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import accuracy
from benchmarks.accuracy import installed, journey, protocol, rolling
from benchmarks.accuracy.amazon import MILLISECOND, Dataset

A, B, C, D = 0, 1, 2, 3


def test_masked_lists_leave_out_what_the_user_has(split):
    asked = split(4, [(A, 2), (B, 1)], [(C, 1)])
    lists = protocol.tops(lambda users: np.array([[4, 3, 2, 1]] * len(users)), asked)
    assert lists["unmasked"][0][:4].tolist() == [A, B, C, D]
    assert lists["masked"][0][:2].tolist() == [C, D]
    assert lists["masked"][1][:3].tolist() == [A, B, D]


def test_the_warm_denominator_drops_cold_and_repeated_items(split):
    asked = split(4, [(A, 2), (B, 1)], [(C, 1)], [(A, 1)], taken=[[C], [D], [A]])
    lists = {"masked": np.array([[C] + [-1] * 19] * 3)}
    # d was never taken in training, and the third user has a already: the first user alone counts
    assert protocol.figures(lists, asked)["warm"]["recall_at_10"].tolist() == [1.0]
    assert protocol.figures(lists, asked)["masked"]["recall_at_10"].tolist() == [1.0, 0.0, 0.0]


@pytest.fixture
def dataset() -> Dataset:
    return Dataset([np.array([A, B, C, D, A])], [np.array([0.0, 3, 3, 10, 10])], ["t"] * 4, [[]] * 4)


def test_leave_one_out(dataset):
    split = dataset.split()
    assert split.relevant.items.tolist() == [A]
    assert split.asked.items.tolist() == [A, B, C, D]
    assert split.train.items.tolist() == [A, B, C]


def test_the_night_trains_on_what_comes_before_the_event_for_validation(dataset):
    dated = dataset.dated(cut=50.0)
    assert dated.items.tolist() == [A, B, C, D]
    assert dated.times == pytest.approx(
        [40 - 3 * MILLISECOND, 43 - 2 * MILLISECOND, 43 - MILLISECOND, 50], abs=MILLISECOND / 10
    )
    assert dated.between(-np.inf, 50.0).items.tolist() == [A, B, C]


def test_ties_are_shuffled_within_their_day_alone(dataset):
    orders = {tuple(dataset.shuffled(seed).items[0].tolist()) for seed in range(20)}
    assert orders == {(A, B, C, D, A), (A, C, B, D, A), (A, B, C, A, D), (A, C, B, A, D)}


def test_new_to_the_user_asks_for_what_they_never_bought(split):
    asked = split(4, [(A, 2), (B, 1)], [(C, 1)], taken=[[A, C, D], [C]])
    new, kept = journey.new_to_the_user(asked)
    assert kept.tolist() == [True, False]
    assert new.users.tolist() == [0]
    assert new.relevant.items.tolist() == [C, D]


def test_few_baskets(split):
    often = [(A, age) for age in range(5, 0, -1)]
    assert journey.few_baskets(split(4, often, [(A, 9), (B, 9), (C, 9), (D, 9), (A, 9)])).tolist() == [False, True]
    assert journey.few_baskets(replace(split(4, often), users=np.array([0]))).tolist() == [False]


def test_the_interval_draws_households_with_all_their_weeks():
    # one household of three weeks and one of one week: the mean is 1, 0 or 3 / 4
    lower, upper = rolling.interval(np.array([1.0, 1, 1, 0]), np.array([7, 7, 7, 9]))
    assert (lower, upper) == (0.0, 1.0)
    assert rolling.interval(np.full(30, 0.5), np.arange(30)) == (0.5, 0.5)


def test_goals_of_the_gpu_alone():
    names = ("recall@10", "ndcg@10")
    found = {
        accuracy.OURS_GPU: {"masked": {"raw": dict(zip(names, (0.1, 0.06), strict=True))}},
        accuracy.RIVAL_GPU: {"masked": {"raw": dict(zip(names, (0.09, 0.05), strict=True))}},
    }
    assert [(goal.reached, goal.met) for goal in accuracy.goals(found, "beauty").values()] == [
        (0.1, True),
        (0.06, True),
        (1.2, True),
    ]


def test_early_stopping_looks_at_events_after_training(monkeypatch):
    monkeypatch.setattr(installed, "VALIDATED", 1)
    split = {"asked_items": np.arange(7), "asked_offsets": np.array([0, 2, 5, 7])}
    # of the first user the event for validation is kept, of the others it isn't
    assert installed._validated(split).tolist() == [True, True, True, True, False, True, False]
