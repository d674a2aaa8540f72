"""Shortlists: the largest totals, in the order of the candidates, and what the others reach at most."""

import numpy as np
import pytest

from jobs.ranking.blend import unit
from jobs.ranking.cosines import on_grid
from jobs.ranking.diversify import Picked, mmr
from jobs.ranking.dpp import dpp
from jobs.ranking.places import Limits
from jobs.ranking.shortlist import SIZE, Shortlists

RENEW = Shortlists.renew


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


@pytest.mark.parametrize(("make", "module"), [(dpp, "dpp"), (mmr, "diversify")])
def test_a_shortlist_that_runs_dry_is_made_anew(make, module, monkeypatch):
    """Many copies of the best: once one is chosen, the others fall below all that the shortlists left out."""
    rng = np.random.default_rng(0)
    vectors = unit(np.abs(rng.standard_normal((3, 200, 16))).astype(np.float32))
    base = rng.random((3, 200))
    for few in (slice(0, SIZE + 8), slice(SIZE + 8, 2 * SIZE)):  # the second time after the first look
        vectors[:, few] = vectors[:, few.start, None]
        base[:, few] += 1
    groups = Limits(rng.integers(0, 9, base.shape), 4)
    renewed, renew = [], Shortlists.renew

    def counted(self, users, total):
        renewed.append(len(users))
        renew(self, users, total)

    monkeypatch.setattr(Shortlists, "renew", counted)

    def lists() -> Picked:
        return make(base, vectors, np.full(3, 0.2 if make is dpp else 5.0), 20, limits=[groups])

    short = lists()
    assert renewed
    monkeypatch.setattr(f"jobs.ranking.{module}.SIZE", 200)
    renewed.clear()
    whole = lists()
    assert not renewed
    for name in ("picks", "scores", "diversity"):
        np.testing.assert_array_equal(getattr(short, name), getattr(whole, name))


def test_few_lists_of_a_dpp_run_dry_between_two_looks(monkeypatch):
    rng = np.random.default_rng(2)
    vectors = unit(np.abs(rng.standard_normal((40, 1, 32)) + rng.standard_normal((40, 200, 32))).astype(np.float32))
    renewed = []
    monkeypatch.setattr(
        Shortlists, "renew", lambda self, users, total: renewed.extend(users) or RENEW(self, users, total)
    )
    dpp(rng.standard_normal((40, 200)), vectors, np.full(40, 0.5), 20)
    assert len(renewed) <= 4  # 44 if they were only made anew after eight ranks


def test_what_is_nearly_as_good_outside_of_a_shortlist_is_compared_exactly():
    """The best of the others lies above the best of the shortlist by less than float32 tells, or is equal and first."""
    vectors = np.zeros((2, 100, 2), np.float32)
    vectors[:, :, 0] = 1  # all alike
    base = np.full((2, 100), 0.5)
    base[0, 90] += 1e-12
    for make, trade in ((mmr, 1.0), (dpp, 0.5)):
        lists = make(base, vectors, np.full(2, trade), 40)
        assert lists.picks[0].tolist() == [90, *range(39)]
        assert lists.picks[1].tolist() == list(range(40))


@pytest.mark.parametrize(("make", "module"), [(dpp, "dpp"), (mmr, "diversify")])
def test_what_float32_cannot_tell_apart_is_decided_over_all_candidates(make, module, monkeypatch):
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((20, 1, 1, 24))
    near = 1e-7 * rng.standard_normal((20, 1, 200, 24))
    vectors = unit((centres + near)[:, 0].astype(np.float32))
    vectors[:, 0] = unit((centres[:, 0, 0] + 0.05 * rng.standard_normal((20, 24))).astype(np.float32))
    base = np.full((20, 200), 0.5)
    base[:, 0] = 1.0  # chosen first; then 199 differ in their cosine to it by less than float32 sees
    short = make(base, vectors, np.full(20, 0.7), 12)
    monkeypatch.setattr(f"jobs.ranking.{module}.SIZE", 200)
    whole = make(base, vectors, np.full(20, 0.7), 12)
    for name in ("picks", "scores", "diversity"):
        np.testing.assert_array_equal(getattr(short, name), getattr(whole, name))
    for user in range(20):  # and that is the one of the smallest exact cosine
        exact = on_grid(vectors[user])
        cosines = exact[1:] @ exact[0]
        least = np.square(cosines) if make is dpp else cosines
        assert short.picks[user, 1] == 1 + least.argmin()
