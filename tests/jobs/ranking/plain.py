"""Re-ranking as its definition reads, in plain Python, one user at a time; and lists for Hypothesis to try."""

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jobs.ranking.blend import unit


def rounded(vector):
    return [round(float(value) * 2**26) / 2**26 for value in vector]


def cosines(vectors):
    """Of every two vectors."""
    exact = [rounded(vector) for vector in vectors]
    return [[sum(x * y for x, y in zip(one, other, strict=True)) for other in exact] for one in exact]


def unlike(like, candidate, above):
    """1 - the largest cosine, in [0, 2]; 1 if nothing stands above."""
    return min(max(1 - max(like[candidate][each] for each in above), 0.0), 2.0) if above else 1.0


def divergence(shares, groups, alpha=0.01):
    """KL(shares || shares of the list), smoothed as Steck does; an item of group -1 has none."""
    listed = [sum(group == each for group in groups) / len(groups) for each in range(len(shares))]
    mixed = [(1 - alpha) * theirs + alpha * own for own, theirs in zip(shares, listed, strict=True)]
    return sum(own * math.log(own / each) for own, each in zip(shares, mixed, strict=True) if own > 0)


def mmr(base, vectors, strength, length, limits=(), pinned=None, calibration=None):
    """One user: [(pick, score, diversity)], base a list, vectors [c, d], limits [(groups, most)], pinned by rank."""
    like, pins = cosines(vectors), dict(pinned or {})
    chosen = []
    for rank in range(length):
        above = [pick for pick, _, _ in chosen]
        counted = above + [pin for at, pin in pins.items() if at >= rank]

        def allowed(candidate, counted=counted):
            if base[candidate] == -math.inf or candidate in counted:
                return False
            return all(
                groups[candidate] < 0 or sum(groups[each] == groups[candidate] for each in counted) < most
                for groups, most in limits
            )

        def told(candidate, above=above):
            diversity = unlike(like, candidate, above)
            score = base[candidate] + strength * diversity / 2
            if calibration:
                groups, shares, weight = calibration
                score -= weight * divergence(shares, [groups[each] for each in [*above, candidate]])
            return candidate, score, diversity

        open_ones = [pins[rank]] if rank in pins else filter(allowed, range(len(base)))
        offers = [told(each) for each in open_ones]
        if offers:
            chosen.append(max(offers, key=lambda offer: offer[1]))  # the first of equal ones
    return chosen


@st.composite
def problems(draw, most_users=2, most_items=7):
    """base in steps with gaps and ties, vectors among few directions, strengths, a length, and limits."""
    shape = (draw(st.integers(1, most_users)), draw(st.integers(1, most_items)))
    levels = st.sampled_from([-np.inf, 0.0, 0.1, 0.25, 0.3, 0.5, 0.5000001, 1.0])
    base = draw(hnp.arrays(np.float64, shape, elements=levels))
    vectors = unit(draw(hnp.arrays(np.float32, (*shape, 3), elements=st.integers(-3, 3).map(float))))
    strength = draw(hnp.arrays(np.float64, shape[:1], elements=st.sampled_from([0.0, 0.1, 0.7, 3.0])))
    groups = draw(hnp.arrays(np.int64, (2, *shape), elements=st.integers(-1, 2)))
    most = draw(hnp.arrays(np.int64, shape[:1], elements=st.integers(0, 3)))
    return base, vectors, strength, draw(st.integers(1, 8)), groups, most


@st.composite
def pins(draw, base, length):
    """int64 [n, length]: candidates of each user, each at most once."""
    pinned = np.full((len(base), length), -1, np.int64)
    for user in range(len(base)):
        able = np.flatnonzero(np.isfinite(base[user])).tolist()
        count = draw(st.integers(0, min(len(able), length, 3)))
        ranks = draw(st.permutations(range(length)))[:count]
        pinned[user, ranks] = draw(st.permutations(able))[:count]
    return pinned
