"""The determinantal point process: lists by hand, and that no item would have been better by the textbook."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.ranking.blend import unit
from jobs.ranking.dpp import FLOOR, dpp
from jobs.ranking.places import Limits
from tests.jobs.ranking import plain

LINE = np.array([[1, 0], [1, 0], [0.6, 0.8], [0, 1]], np.float32)


def one(base, vectors=LINE, theta=0.5, length=4, **more):
    return dpp(np.array([base], np.float64), np.array([vectors]), np.array([theta]), length, **more)


def test_four_candidates_by_hand():
    lists = one([1.0, 0.9, 0.5, 0.3])
    # 0 first: 0.5 x 1 + 0.5 x log 1; then 1, a copy, has log 1e-6, 2 has variance 0.64, 3 has 1: 0.25 + 0.5 log 0.64 is
    # 0.027 and 3 has 0.15; with 0 and 3 the plane is full, and the copies follow by base
    assert lists.picks.tolist() == [[0, 3, 1, 2]]
    low = 0.5 * math.log(FLOOR)
    np.testing.assert_allclose(lists.scores, [[0.5, 0.15, 0.45 + low, 0.25 + low]], atol=1e-6)
    np.testing.assert_allclose(lists.diversity, [[1, 1, 0, 0.2]], atol=1e-6)


def test_theta_goes_from_variety_alone_to_base_alone():
    assert one([1.0, 0.9, 0.5, 0.3], theta=1.0).picks.tolist() == [[0, 1, 2, 3]]
    assert one([1.0, 0.9, 0.5, -np.inf], theta=0.0).picks.tolist() == [[0, 2, 1, -1]]


def test_limits_and_pins():
    pinned, limit = np.array([[-1, -1, 1, -1]]), Limits(np.array([[7, 7, -1, -1]]), 1)
    assert one([1.0, 0.9, 0.5, 0.3], limits=[limit]).picks.tolist() == [[0, 3, 2, -1]]
    assert one([1.0, 0.9, 0.5, 0.3], limits=[limit], pinned=pinned).picks.tolist() == [[2, 3, 1, -1]]


def test_zero_vectors_are_like_nothing_and_copies_come_last():
    vectors = np.array([[1, 0], [1, 0], [0, 0], [0, 0]], np.float32)
    assert one([1.0, 0.9, 0.5, 0.3], vectors).picks.tolist() == [[0, 2, 3, 1]]
    assert one([0.5] * 4, np.zeros((4, 2), np.float32)).picks.tolist() == [[0, 1, 2, 3]]
    assert one([0.5], LINE[:1]).picks.tolist() == [[0]]
    assert one([-np.inf] * 4).picks.tolist() == [[-1] * 4]


def log_determinant(vectors, chosen):
    kernel = vectors[chosen].astype(np.float64) @ vectors[chosen].astype(np.float64).T
    np.fill_diagonal(kernel, 1.0)  # a zero vector's variance is 1
    return np.linalg.slogdet(kernel)[1]


def test_every_pick_is_the_best_by_the_determinant():
    rng = np.random.default_rng(4)
    base, theta = rng.random((3, 30)), np.array([0.2, 0.7, 0.95])
    vectors = unit(rng.standard_normal((3, 30, 16)).astype(np.float32))
    vectors[:, 7] = 0
    lists = dpp(base, vectors, theta, 12)
    for user, picks in enumerate(lists.picks.tolist()):
        for rank, pick in enumerate(picks):
            before = log_determinant(vectors[user], picks[:rank]) if rank else 0.0
            totals = {
                each: theta[user] * base[user, each]
                + (1 - theta[user]) * (log_determinant(vectors[user], [*picks[:rank], each]) - before)
                for each in set(range(30)) - set(picks[:rank])
            }
            assert pick == max(totals, key=totals.get)
            assert lists.scores[user, rank] == pytest.approx(totals[pick], abs=1e-5)


@given(plain.problems(), st.data())
def test_lists_are_whole_keep_to_limits_and_do_not_depend_on_the_batch(problem, data):
    base, vectors, strength, length, groups, most = problem
    theta, pinned = strength.clip(0, 1), data.draw(plain.pins(base, length))

    def lists(rows):
        return dpp(base[rows], vectors[rows], theta[rows], length, limits=[Limits(groups[0][rows], most[rows])],
                   pinned=pinned[rows])  # fmt: skip

    together = lists(slice(None))
    for user, picks in enumerate(together.picks):
        alone = lists(slice(user, user + 1))
        for name in ("picks", "scores", "diversity"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[user])
        picked = picks[picks >= 0]
        assert len(set(picked.tolist())) == len(picked)
        assert np.isfinite(base[user, picked]).all()
        pins = pinned[user, pinned[user] >= 0]
        assert set(pins.tolist()) <= set(picked.tolist())
        for group in range(3):
            allowed = max(most[user], np.sum(groups[0][user, pins] == group))
            assert np.sum(groups[0][user, picked] == group) <= allowed


def test_malformed_input_is_named():
    with pytest.raises(ValueError, match=r"base\[0, 1\] is nan"):
        one([0.5, np.nan, 0.5, 0.5])
    with pytest.raises(ValueError, match=r"theta\[0\] is 1.5; it must lie between 0 and 1"):
        one([0.5] * 4, theta=1.5)
    with pytest.raises(ValueError, match=r"theta\[0\] is -0.5"):
        one([0.5] * 4, theta=-0.5)
    with pytest.raises(ValueError, match=r"vectors\[0, 3\] has length 5"):
        one([0.5] * 4, [*LINE[:3], [3, 4]])
