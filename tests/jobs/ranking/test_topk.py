"""Exact top-K: the float64 order, whatever the blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from jobs.ranking import topk
from jobs.ranking.topk import top_k

# few distinct values, so that ties are common; and odd ones, so that float32 products round
GRID = st.sampled_from([-1.5, -1.0, 0.0, 0.1, 0.3, 1.0, 1e-3, 7.7])
ANY = st.floats(-1e4, 1e4, width=32)


@st.composite
def problems(draw, values=GRID):
    users, items, dim = draw(st.integers(1, 9)), draw(st.integers(1, 70)), draw(st.integers(1, 5))
    matrix = [draw(hnp.arrays(np.float32, (rows, dim), elements=values)) for rows in (users, items)]
    return *matrix, draw(st.integers(1, 12))


def full_sort(users, items, k):
    """The definition: every score in float64, sorted by score and then position."""
    scores = np.stack([np.einsum("md,d->m", items.astype(np.float64), user) for user in users.astype(np.float64)])
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(scores, order, axis=1)


def test_three_items_by_hand():
    users = np.array([[1, 0], [0, 2]], np.float32)
    items = np.array([[1, 3], [2, -1], [1, 3]], np.float32)
    positions, scores = top_k(users, items, 2)
    assert positions.tolist() == [[1, 0], [0, 2]]  # items 0 and 2 tie: the first one first
    assert scores.tolist() == [[2, 1], [6, 6]]


@given(problems(st.one_of(GRID, ANY)))
def test_equals_the_full_sort_with_ties(problem):
    users, items, k = problem
    positions, scores = top_k(users, items, k, block=(4, 16))
    expected, exact = full_sort(users, items, k)
    np.testing.assert_array_equal(positions, expected)
    np.testing.assert_array_equal(scores, exact)


@given(problems(), st.integers(1, 10), st.integers(1, 80))
def test_the_size_of_the_blocks_changes_nothing(problem, block_users, block_items):
    users, items, k = problem
    whole = top_k(users, items, k)
    blocked = top_k(users, items, k, block=(block_users, block_items))
    np.testing.assert_array_equal(blocked[0], whole[0])
    np.testing.assert_array_equal(blocked[1], whole[1])


def test_scores_closer_than_float32_can_tell_apart_are_ordered_by_float64():
    rng = np.random.default_rng(5)
    users = rng.standard_normal((3, 64)).astype(np.float32)
    # 3,000 copies of one item, each moved by the last bit of one value
    items = np.repeat(rng.standard_normal((1, 64)).astype(np.float32), 3000, axis=0)
    items[np.arange(3000), rng.integers(0, 64, 3000)] *= np.float32(1 + 2**-23)
    expected, _ = full_sort(users, items, 10)
    np.testing.assert_array_equal(top_k(users, items, 10, block=(2, 100))[0], expected)


@pytest.mark.parametrize("pending", [0, 50, 2000])
def test_many_ties_are_settled_on_the_way_without_a_change(monkeypatch, pending):
    monkeypatch.setattr(topk, "PENDING", pending)
    rng = np.random.default_rng(1)
    users = rng.integers(-1, 2, (5, 2)).astype(np.float32)
    users[0] = 0  # every item ties
    items = np.sort(rng.integers(0, 9, (900, 2)) / 8, axis=0).astype(np.float32)  # the better ones come late
    expected, exact = full_sort(users, items, 4)
    positions, scores = top_k(users, items, 4, block=(2, 40))
    np.testing.assert_array_equal(positions, expected)
    np.testing.assert_array_equal(scores, exact)


@given(problems(), st.data())
def test_what_is_added_to_a_pair_counts_unless_the_pair_is_excluded(problem, data):
    users, items, k = problem
    shape = (len(users), len(items))
    more = data.draw(hnp.arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.0, -2.0, 0.5, 9.0])))
    banned = data.draw(hnp.arrays(bool, shape))
    positions, scores = top_k(
        users, items, k, added=sparse.csr_array(more), excluded=sparse.csr_array(banned), block=(3, 8)
    )
    exact = np.stack([np.einsum("md,d->m", items.astype(np.float64), user) for user in users.astype(np.float64)]) + more
    for user in range(len(users)):
        order = [item for item in np.argsort(-exact[user], kind="stable") if not banned[user, item]][:k]
        assert positions[user, : len(order)].tolist() == order
        assert scores[user, : len(order)].tolist() == exact[user, order].tolist()
        assert (positions[user, len(order) :] == -1).all()


@given(problems(), st.data())
def test_excluded_items_are_never_given_and_the_rest_keep_their_order(problem, data):
    users, items, k = problem
    banned = data.draw(hnp.arrays(bool, (len(users), len(items))))
    positions, scores = top_k(users, items, k, excluded=sparse.csr_array(banned), block=(3, 8))
    everything, exact = full_sort(users, items, len(items))
    for user in range(len(users)):
        kept = ~banned[user, everything[user]]
        left = min(k, kept.sum())
        assert positions[user, :left].tolist() == everything[user, kept][:k].tolist()
        assert scores[user, :left].tolist() == exact[user, kept][:k].tolist()
        assert (positions[user, left:] == -1).all()
        assert (scores[user, left:] == -np.inf).all()


def test_fewer_items_than_asked_for():
    positions, scores = top_k(np.ones((2, 1), np.float32), np.array([[1], [4]], np.float32), 10)
    assert positions.tolist() == [[1, 0], [1, 0]]
    assert scores.tolist() == [[4, 1], [4, 1]]


def test_malformed_input_is_named():
    good, bad = np.ones((2, 3), np.float32), np.ones((4, 3), np.float32)
    bad[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"items\[3, 1\] is nan"):
        top_k(good, bad, 1)
    with pytest.raises(ValueError, match=r"users\[3, 1\] is nan"):
        top_k(bad, good, 1)
    with pytest.raises(ValueError, match="same d"):
        top_k(good, np.ones((4, 2), np.float32), 1)
    with pytest.raises(ValueError, match="k is 0"):
        top_k(good, good, 0)
    with pytest.raises(ValueError, match=r"excluded is \(1, 2\); it must be \(2, 2\)"):
        top_k(good, good, 1, excluded=sparse.csr_array((1, 2)))
