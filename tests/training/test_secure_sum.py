"""Masks cancel in the sum, and leave nothing to be seen of one vector."""

import numpy as np
import pytest
from scipy.stats import chisquare

from training.secure_sum import Scale, added, gathered

COUNT = 5
SCALE = Scale(8.0, COUNT)


@pytest.fixture(scope="module")
def vectors() -> list[np.ndarray]:
    """The last party's are all 0."""
    rng = np.random.default_rng(1)
    return [rng.uniform(-8, 8, 50_000) for _ in range(COUNT - 1)] + [np.zeros(50_000)]


def test_the_sum_of_masked_vectors_is_that_of_the_plain_ones(vectors: list[np.ndarray]):
    told = [SCALE.encode(vector) for vector in vectors]
    masked = [party.masked(each, 3) for party, each in zip(gathered(COUNT), told, strict=True)]
    assert np.array_equal(added(masked), added(told))
    apart = np.abs(SCALE.decode(added(masked)) - np.sum(vectors, axis=0)).max()
    assert 0 < apart <= COUNT * SCALE.step / 2
    # two turns of one vector share no mask, and one missing party leaves noise
    parties = gathered(COUNT)
    assert (parties[0].masked(told[0], 0) != parties[0].masked(told[0], 1)).mean() > 0.99
    rest = [party.masked(each, 0) for party, each in zip(parties[1:], told[1:], strict=True)]
    assert np.abs(SCALE.decode(added(rest)) - np.sum(vectors[1:], axis=0)).mean() > 8


def test_one_masked_vector_is_as_if_drawn_at_random(vectors: list[np.ndarray]):
    """Even of zeros: each byte of its numbers takes all 256 values alike often."""
    told = SCALE.encode(vectors[-1])
    masked = gathered(COUNT)[-1].masked(told, 0)
    assert (masked != told).mean() > 0.99
    for byte in masked.view(np.uint8).reshape(-1, 4).T:
        assert chisquare(np.bincount(byte, minlength=256)).pvalue > 1e-6
    assert chisquare(np.bincount(told.view(np.uint8), minlength=256)).pvalue < 1e-6


def test_whole_numbers_for_real_ones():
    scale = Scale(2.0, 1)
    assert scale.encode(np.array([2.0, 0.0, -2.0])).tolist() == [2**31 - 1, 0, 2**31 + 1]
    assert scale.decode(np.array([2**31 - 1, 0, 2**31 + 1], np.uint32)).tolist() == [2.0, 0.0, -2.0]
    # everybody at the bound is still no more than a sum can say
    full = Scale(2.0, 3)
    assert full.decode(added([full.encode(np.array([-2.0]))] * 3)) == pytest.approx(-6.0, abs=3 * full.step)
    with pytest.raises(ValueError, match=r"a number of size 2\.5 doesn't fit into the secure sum's bound 2"):
        scale.encode(np.array([2.5]))
    with pytest.raises(ValueError, match="a number of size nan"):
        scale.encode(np.array([np.nan]))
