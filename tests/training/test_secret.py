"""Draws and noise by a key: the same again for whoever has it, and for nobody else."""

import stat
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from training.secret import KEY_BYTES, Secret

USERS = [f"u{number}" for number in range(5000)]


def test_a_key_is_fresh_and_its_owners_alone_and_stays(tmp_path: Path):
    paths = tmp_path / "a/noise.key", tmp_path / "b/noise.key"
    first, other = (Secret.kept(path, resumed=False) for path in paths)
    assert stat.S_IMODE(paths[0].stat().st_mode) == 0o600
    assert len(paths[0].read_bytes()) == KEY_BYTES
    assert paths[0].read_bytes() != paths[1].read_bytes()
    again = Secret.kept(paths[0], resumed=True)
    assert np.array_equal(again.normal(3, 7), first.normal(3, 7))
    assert not np.array_equal(other.normal(3, 7), first.normal(3, 7))
    assert not np.array_equal(first.normal(4, 7), first.normal(3, 7))


def test_a_run_that_goes_on_without_its_key_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"noise\.key, the key of the run's noise, is gone; delete .* to start anew"):
        Secret.kept(tmp_path / "noise.key", resumed=True)


def test_noise_is_standard_normal():
    assert kstest(Secret(b"k" * KEY_BYTES).normal(0, 100_001), "norm").pvalue > 1e-3
    assert len(Secret(b"k" * KEY_BYTES).normal(0, 7)) == 7


def test_each_user_is_drawn_by_themselves():
    secret = Secret(b"k" * KEY_BYTES)
    steps = [dict(secret.drawn(step, USERS, 0.25)) for step in range(4)]
    taken = np.array([[place in drawn for place in range(len(USERS))] for drawn in steps])
    # of each step a quarter, and how many of the four steps take a user is binomial
    shares = np.array([81, 108, 54, 12, 1]) / 256
    assert chisquare(np.bincount(taken.sum(0), minlength=5), shares * len(USERS)).pvalue > 1e-3
    # who else is there, and at which place, changes nothing
    others = [user for place, user in enumerate(USERS) if place % 3]
    fewer = {others[place]: seed for place, seed in secret.drawn(0, others, 0.25)}
    assert fewer == {USERS[place]: seed for place, seed in steps[0].items() if place % 3}
