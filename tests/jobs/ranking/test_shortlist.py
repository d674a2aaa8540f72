"""Shortlists: the largest totals, in the order of the candidates, and what the others reach at most."""

import numpy as np

from jobs.ranking.blend import unit
from jobs.ranking.diversify import Picked
from jobs.ranking.dpp import dpp
from jobs.ranking.places import Limits
from jobs.ranking.shortlist import SIZE, Shortlists


def test_the_largest_are_in_it_and_the_next_bounds_the_others():
    total = np.arange(2 * (SIZE + 3), dtype=float).reshape(2, -1)
    total[1] = -total[1]
    short = Shortlists(total)
    assert short.places.tolist() == [list(range(3, SIZE + 3)), list(range(SIZE))]
    assert short.bound.tolist() == [2.0, -(2.0 * SIZE + 3)]
    short.renew(np.array([1]), total[:1])
    assert short.places[1].tolist() == list(range(3, SIZE + 3))
    assert short.bound[1] == 2.0


def test_few_candidates_are_all_in_it():
    short = Shortlists(np.zeros((1, SIZE)))
    assert short.places.tolist() == [list(range(SIZE))]
    assert short.bound.tolist() == [-np.inf]


def test_a_shortlist_that_runs_dry_is_made_anew(monkeypatch):
    """Many copies of the best: once one is chosen, the others fall below all that the shortlists left out."""
    rng = np.random.default_rng(0)
    vectors = unit(np.abs(rng.standard_normal((3, 200, 16))).astype(np.float32))
    vectors[:, : SIZE + 8] = vectors[:, :1]
    base = rng.random((3, 200))
    base[:, : SIZE + 8] += 1
    groups = Limits(rng.integers(0, 9, base.shape), 4)
    renewed, renew = [], Shortlists.renew

    def counted(self, users, total):
        renewed.append(len(users))
        renew(self, users, total)

    monkeypatch.setattr(Shortlists, "renew", counted)

    def lists() -> Picked:
        return dpp(base, vectors, np.full(3, 0.2), 20, limits=[groups])

    short = lists()
    assert renewed
    monkeypatch.setattr("jobs.ranking.shortlist.SIZE", 200)
    renewed.clear()
    whole = lists()
    assert not renewed
    for name in ("picks", "scores", "diversity"):
        np.testing.assert_array_equal(getattr(short, name), getattr(whole, name))
