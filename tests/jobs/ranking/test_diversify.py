"""Maximal marginal relevance with limits, pins and calibration: lists by hand, and equality with the definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jobs.ranking import diversify
from jobs.ranking.blend import unit
from jobs.ranking.calibration import Calibration
from jobs.ranking.diversify import mmr
from jobs.ranking.places import Limits
from tests.jobs.ranking import plain

LINE = np.array([[1, 0], [1, 0], [0.6, 0.8], [0, 1]], np.float32)  # 0 and 1 are alike, 3 is most unlike them


def one(base, vectors=LINE, strength=1.0, length=4, **more):
    return mmr(np.array([base], np.float64), np.array([vectors]), np.array([strength]), length, **more)


def test_four_candidates_by_hand():
    lists = one([1.0, 0.9, 0.5, 0.3])
    # 0 first: 1 + 1/2; then 1 has 0.9 + 0, 2 has 0.5 + 0.4/2, 3 has 0.3 + 1/2: 1; then 2 has 0.7 and 3 has 0.8
    assert lists.picks.tolist() == [[0, 1, 3, 2]]
    np.testing.assert_allclose(lists.scores, [[1.5, 0.9, 0.8, 0.5 + 0.2 / 2]], atol=1e-7)
    np.testing.assert_allclose(lists.diversity, [[1, 0, 1, 0.2]], atol=1e-7)


def test_a_limit_refuses_what_its_group_has_had():
    groups = np.array([[7, 7, -1, -1]])
    assert one([1.0, 0.9, 0.5, 0.3], limits=[Limits(groups, 1)]).picks.tolist() == [[0, 3, 2, -1]]
    both = [Limits(groups, np.array([1])), Limits(np.array([[0, 1, 2, 2]]), 1)]
    lists = one([1.0, 0.9, 0.5, 0.3], limits=both)
    assert lists.picks.tolist() == [[0, 3, -1, -1]]
    assert lists.scores[0, 2:].tolist() == [0, 0]
    assert lists.diversity[0, 2:].tolist() == [1, 1]


def test_a_pin_stands_where_it_must_and_takes_its_group_s_place_from_the_start():
    pinned = np.array([[-1, -1, 1, -1]])
    assert one([1.0, 0.9, 0.5, 0.3], pinned=pinned).picks.tolist() == [[0, 3, 1, 2]]
    limit = Limits(np.array([[7, 7, -1, -1]]), 1)
    assert one([1.0, 0.9, 0.5, 0.3], pinned=pinned, limits=[limit]).picks.tolist() == [[2, 3, 1, -1]]
    none = Limits(np.array([[7, 7, -1, -1]]), 0)
    assert one([1.0, 0.9, 0.5, 0.3], pinned=pinned, limits=[none]).picks.tolist() == [[2, 3, 1, -1]]


def test_where_the_candidates_end_above_a_pin_it_moves_up():
    lists = one([1.0, -np.inf, 0.5, -np.inf], length=6, pinned=np.array([[-1, -1, -1, -1, -1, 0]]))
    assert lists.picks.tolist() == [[2, 0, -1, -1]]
    np.testing.assert_allclose(lists.scores, [[1.0, 1.2, 0, 0]], atol=1e-7)


def test_calibration_draws_the_categories_to_the_history_s():
    shares, groups = np.array([[0.5, 0.5]]), np.array([[0, 0, 1, 1]])
    lists = one([1.0, 0.9, 0.8, 0.1], np.zeros((4, 2), np.float32), 0.0, 4,
                calibration=Calibration(groups, shares, np.array([1.0])))  # fmt: skip
    # alone, each costs KL((.5, .5) || (.995, .005)); the second pick balances the list, and the other is balanced again
    alone = 0.5 * np.log(0.5 / 0.995) + 0.5 * np.log(0.5 / 0.005)
    third = 0.5 * np.log(0.5 / (0.99 * 2 / 3 + 0.005)) + 0.5 * np.log(0.5 / (0.99 / 3 + 0.005))
    assert lists.picks.tolist() == [[0, 2, 1, 3]]
    np.testing.assert_allclose(lists.scores, [[1 - alone, 0.8, 0.9 - third, 0.1]])
    without = Calibration(groups, np.zeros((1, 2)), np.array([1.0]))
    assert one([1.0, 0.9, 0.8, 0.1], strength=0.0, calibration=without).scores.tolist() == [[1.0, 0.9, 0.8, 0.1]]


@given(plain.problems(), st.data())
def test_equals_the_definition_to_the_last_bit(problem, data):
    base, vectors, strength, length, groups, most = problem
    pinned = data.draw(st.one_of(st.none(), plain.pins(base, length)))
    limits = [Limits(groups[0], most), Limits(groups[1], 2)][: data.draw(st.integers(0, 2))]
    lists = mmr(base, vectors, strength, length, limits=limits, pinned=pinned)
    for user in range(len(base)):
        ruled = [(limit.groups[user], np.broadcast_to(limit.most, len(base))[user]) for limit in limits]
        pins = {} if pinned is None else {rank: pin for rank, pin in enumerate(pinned[user]) if pin >= 0}
        expected = plain.mmr(base[user], vectors[user], strength[user], length, ruled, pins)
        told = zip(lists.picks[user], lists.scores[user], lists.diversity[user], strict=True)
        assert [each for each in told if each[0] >= 0] == expected


@given(plain.problems(), st.data())
def test_calibrated_lists_equal_the_definition(problem, data):
    base, vectors, strength, length, groups, _ = problem
    counts = data.draw(hnp.arrays(np.int64, (len(base), 3), elements=st.integers(0, 3)))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    weight = data.draw(hnp.arrays(np.float64, len(base), elements=st.sampled_from([0.0, 0.05, 1.0])))
    lists = mmr(base, vectors, strength, length, calibration=Calibration(groups[0], shares, weight))
    for user in range(len(base)):
        calibration = groups[0][user], shares[user], weight[user]
        for rank, pick in enumerate(lists.picks[user]):
            # logarithms differ in the last bit, so that the best may be another: but none is better
            above = dict(enumerate(lists.picks[user, :rank]))
            best = plain.mmr(base[user], vectors[user], strength[user], rank + 1, (), above, calibration)
            if pick < 0:
                assert len(best) == rank
                break
            assert lists.scores[user, rank] == pytest.approx(best[-1][1], abs=1e-12)


@given(plain.problems(most_users=3), st.data())
def test_the_other_users_of_a_batch_and_the_padding_change_nothing(problem, data):
    base, vectors, strength, length, groups, most = problem
    pinned = data.draw(plain.pins(base, length))
    shares = np.tile([0.5, 0.25, 0.25], (len(base), 1))

    def lists(rows, padding=0):
        more = ((0, 0), (0, padding))
        return mmr(
            np.pad(base[rows], more, constant_values=-np.inf), np.pad(vectors[rows], (*more, (0, 0))), strength[rows],
            length, limits=[Limits(np.pad(groups[0][rows], more), most[rows])], pinned=pinned[rows],
            calibration=Calibration(np.pad(groups[1][rows], more), shares[rows], strength[rows]),
        )  # fmt: skip

    together = lists(slice(None))
    for user in range(len(base)):
        alone = lists(slice(user, user + 1), padding=3)
        width = together.picks.shape[1]
        for name in ("picks", "scores", "diversity"):
            np.testing.assert_array_equal(getattr(alone, name)[0, :width], getattr(together, name)[user])


def test_a_large_batch_equals_its_lists_alone(monkeypatch):
    rng = np.random.default_rng(3)
    base = rng.random((40, 60))
    centres = rng.standard_normal((1, 6, 24))
    vectors = unit((centres[:, rng.integers(0, 6, 60)] + 1e-7 * rng.standard_normal((40, 60, 24))).astype(np.float32))
    strength = rng.random(40) * (rng.random(40) > 0.3)
    base[:, 30:] = base[:, :30]  # with directions this close, float32 alone would confuse many
    together = mmr(base, vectors, strength, 25)
    monkeypatch.setattr(diversify, "CACHED", 1)
    for name in ("picks", "scores", "diversity"):
        np.testing.assert_array_equal(getattr(mmr(base, vectors, strength, 25), name), getattr(together, name))
    for user in range(0, 40, 7):
        expected = plain.mmr(base[user], vectors[user], strength[user], 25)
        assert expected == list(zip(*(part[user] for part in vars(together).values()), strict=True))


@given(plain.problems(), st.data())
def test_limits_hold_but_for_pins_and_pins_stand_where_they_must(problem, data):
    base, vectors, strength, length, groups, most = problem
    pinned = data.draw(plain.pins(base, length))
    lists = mmr(base, vectors, strength, length, limits=[Limits(groups[0], most)], pinned=pinned)
    for user, picks in enumerate(lists.picks):
        picked = picks[picks >= 0]
        assert len(set(picked.tolist())) == len(picked)
        pins = pinned[user, pinned[user] >= 0]
        for group in range(3):
            count = np.sum(groups[0][user, picked] == group)
            assert count <= max(most[user], np.sum(groups[0][user, pins] == group))
        for rank in np.flatnonzero(pinned[user] >= 0):
            place = np.flatnonzero(picked == pinned[user, rank])
            assert len(place) == 1
            # or it moved up, because nothing but pins was left
            assert place[0] == rank or (place[0] < rank and set(picked[place[0] :]) <= set(pins))


def test_degenerate_input():
    assert one([0.5], LINE[:1], length=3).picks.tolist() == [[0]]
    assert one([-np.inf] * 4).picks.tolist() == [[-1] * 4]
    same = one([0.5] * 4, np.zeros((4, 2), np.float32))
    assert (same.picks.tolist(), same.scores.tolist()) == ([[0, 1, 2, 3]], [[1.0] * 4])
    assert mmr(np.zeros((0, 4)), np.zeros((0, 4, 2)), np.zeros(0), 3).picks.shape == (0, 3)


def test_malformed_input_is_named():
    fine = [0.5] * 4
    with pytest.raises(ValueError, match=r"base\[0, 1\] is nan"):
        one([0.5, np.nan, 0.5, 0.5])
    with pytest.raises(ValueError, match=r"base\[0, 1\] is inf"):
        one([0.5, np.inf, 0.5, 0.5])
    with pytest.raises(ValueError, match=r"base\[0, 2\] is 1e\+31; it must lie between"):
        one([0.5, 0.5, 1e31, 0.5])
    with pytest.raises(ValueError, match=r"vectors\[0, 3, 1\] is nan"):
        one(fine, [*LINE[:3], [0, np.nan]])
    with pytest.raises(ValueError, match=r"vectors\[0, 3\] has length 5; it must be 1 or 0"):
        one(fine, [*LINE[:3], [3, 4]])
    with pytest.raises(ValueError, match=r"strength\[0\] is -1.0"):
        one(fine, strength=-1.0)
    with pytest.raises(ValueError, match="length is 0"):
        one(fine, length=0)
    with pytest.raises(ValueError, match=r"pinned\[0, 1\] is 9, which is no candidate"):
        one(fine, pinned=np.array([[-1, 9, -1, -1]]))
    with pytest.raises(ValueError, match=r"pinned\[0, 2\] is 1, which is pinned further up"):
        one(fine, pinned=np.array([[-1, 1, 1, -1]]))
    with pytest.raises(ValueError, match=r"limits\[0\] has groups \(1, 3\)"):
        one(fine, limits=[Limits(np.zeros((1, 3), np.int64), 1)])
    with pytest.raises(ValueError, match=r"calibration.shares\[0\] is \[0.5, 0.2\]"):
        one(fine, calibration=Calibration(np.zeros((1, 4), np.int64), np.array([[0.5, 0.2]]), np.ones(1)))
    with pytest.raises(ValueError, match=r"calibration.groups\[0, 0\] is 2"):
        one(fine, calibration=Calibration(np.full((1, 4), 2), np.array([[0.5, 0.5]]), np.ones(1)))
