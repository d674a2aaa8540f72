"""A user's own variety as a multiplier."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jobs.ranking.appetite import appetite


def test_the_ratio_to_the_average_within_bounds():
    variety = np.array([0.4, np.nan, 0.5, 0.3, 0.0, 1.0])
    np.testing.assert_allclose(appetite(variety, 0.4), [1, 1, 1.25, 0.75, 0.5, 2])


@given(hnp.arrays(np.float64, 6, elements=st.floats(0, 1)), st.floats(1e-3, 1))
def test_who_wants_more_gets_no_less(variety, average):
    found = appetite(np.sort(variety), average)
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0.5) & (found <= 2)).all()


def test_malformed_input_is_named():
    with pytest.raises(ValueError, match=r"variety\[1\] is -0.1"):
        appetite(np.array([0.5, -0.1]), 0.4)
    with pytest.raises(ValueError, match=r"variety\[0\] is inf"):
        appetite(np.array([np.inf]), 0.4)
    with pytest.raises(ValueError, match="average is nan"):
        appetite(np.array([0.5]), np.nan)
