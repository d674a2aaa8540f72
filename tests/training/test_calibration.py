"""Calibration by hand, and what must hold for any probabilities, outcomes and weights."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from training.calibration import Platt, fitted, reliability

STEADY = settings(deadline=None, derandomize=True)
ONES = np.ones(4)


@st.composite
def rows(draw):
    """Probabilities in steps of 1/64, so that sums are exact; outcomes, of which both occur; weights of 0 to 4."""
    size = draw(st.integers(2, 30))
    each = st.lists(st.integers(1, 63), min_size=size, max_size=size)
    outcomes = np.array(draw(st.lists(st.integers(0, 1), min_size=size, max_size=size)))
    weights = np.array(draw(st.lists(st.integers(0, 4), min_size=size, max_size=size)))
    assume((weights * outcomes).any() and (weights * (1 - outcomes)).any())
    return np.array(draw(each)) / 64, outcomes, weights


def test_reliability_by_hand():
    found = reliability(np.array([0.8, 0.1, 0.6, 0.3]), np.array([1, 0, 0, 1]), ONES, bins=2)
    # 0.1 and 0.3 share a bin, where one of two happened, and so do 0.6 and 0.8
    assert found.predicted == pytest.approx((0.2, 0.7))
    assert found.observed == (0.5, 0.5)
    assert found.weight == (0.5, 0.5)
    assert found.ece == pytest.approx(0.5 * 0.3 + 0.5 * 0.2)
    assert found.brier == pytest.approx((0.2**2 + 0.1**2 + 0.6**2 + 0.7**2) / 4)
    assert found.log_loss == pytest.approx(-math.log(0.8 * 0.9 * 0.4 * 0.3) / 4)
    assert found.ratio == pytest.approx(1.8 / 2)
    assert (found.rows, found.positives) == (4, 2)


def test_bins_have_equal_weight_not_equally_many_rows():
    found = reliability(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 0, 1, 1]), np.array([3, 1, 1, 1]), bins=2)
    assert found.predicted == pytest.approx((0.1, 0.3))
    assert found.observed == pytest.approx((0, 2 / 3))
    assert found.weight == (0.5, 0.5)
    assert found.ece == pytest.approx(0.5 * 0.1 + 0.5 * (2 / 3 - 0.3))


def test_a_heavy_probability_goes_where_the_middle_of_its_weight_lies():
    found = reliability(np.array([0.25, 0.5, 0.75]), np.array([0, 0, 1]), np.array([1, 4, 1]), bins=2)
    assert (found.predicted, found.weight) == ((0.25, 0.55), (1 / 6, 5 / 6))


def test_equal_probabilities_share_a_bin():
    found = reliability(np.array([0.5, 0.25, 0.25, 0.25]), np.array([1, 0, 0, 1]), ONES, bins=4)
    assert (found.predicted, found.observed, found.weight) == ((0.25, 0.5), (1 / 3, 1), (0.75, 0.25))


def test_scores_that_are_infinite():
    never = reliability(np.array([0.0, 0.5, 0.5, 0.5]), np.zeros(4), ONES)
    assert (never.ratio, never.log_loss) == (math.inf, pytest.approx(0.75 * math.log(2)))
    assert reliability(np.zeros(4), np.zeros(4), ONES).ratio == math.inf
    assert reliability(np.array([0.0, 0.5, 0.5, 0.5]), ONES, ONES).log_loss == math.inf


@STEADY
@given(rows(), st.integers(1, 20))
def test_a_weight_is_that_many_rows(case, bins):
    probabilities, outcomes, weights = case
    logits, ones = 8 * probabilities - 4, np.ones(len(weights))
    columns = [np.repeat(each, weights) for each in (probabilities, logits, outcomes, ones)]
    weighted = reliability(probabilities, outcomes, weights, bins)
    repeated = reliability(columns[0], columns[2], columns[3], bins)
    for name in ("predicted", "observed", "weight", "ece", "brier", "ratio"):
        assert getattr(weighted, name) == getattr(repeated, name), name
    assert weighted.log_loss == pytest.approx(repeated.log_loss, rel=1e-12)
    assert (weighted.rows, repeated.rows) == ((weights > 0).sum(), weights.sum())
    assert (weighted.positives, repeated.positives) == (outcomes[weights > 0].sum(), weights @ outcomes)

    once, again = fitted("purchase", logits, outcomes, weights), fitted("purchase", *columns[1:])
    assert (again.slope, again.offset) == pytest.approx((once.slope, once.offset), rel=1e-7, abs=1e-9)


@STEADY
@given(rows(), st.integers(1, 20))
def test_what_happens_as_often_as_foretold_has_no_error(case, bins):
    probabilities, _, weights = case
    # of each row, as much weight happens as its probability says
    found = reliability(
        np.repeat(probabilities, 2),
        np.tile([1, 0], len(weights)),
        (np.stack([probabilities, 1 - probabilities], axis=1) * weights[:, None]).ravel(),
        bins,
    )
    assert found.ece == pytest.approx(0, abs=1e-15)
    assert found.ratio == pytest.approx(1)
    assert sum(found.weight) == pytest.approx(1)
    assert list(found.predicted) == sorted(found.predicted)
    assert len(found.predicted) <= bins


def test_a_fit_through_two_points_by_hand():
    # at 1 three of four happened, at -1 one; Platt's targets for four of each are 5/6 and 1/6
    logits, outcomes = np.repeat([-1.0, 1.0], 4), np.array([1, 0, 0, 0, 0, 1, 1, 1])
    found = fitted("purchase", logits, outcomes, np.ones(8))
    rate = (3 * 5 / 6 + 1 / 6) / 4
    assert rate == pytest.approx(2 / 3)
    assert (found.slope, found.offset) == (pytest.approx(math.log(2)), pytest.approx(0, abs=1e-12))
    assert found.apply(np.array([[1.0], [-1.0]])) == pytest.approx(np.array([[2 / 3], [1 / 3]]))


@pytest.mark.parametrize(("low", "high", "no", "yes"), [(0, 10, 20, 2), (-1, 1, 1e4, 1e6)])
def test_separated_outcomes_get_platts_targets(low, high, no, yes):
    # Newton's steps overshoot in the first, and the curvature vanishes in the second
    found = fitted("purchase", np.array([low, high]), np.array([0, 1]), np.array([no, yes]))
    slope = (math.log(yes + 1) + math.log(no + 1)) / (high - low)
    assert (found.slope, found.offset) == (pytest.approx(slope), pytest.approx(-math.log(no + 1) - slope * low))


@STEADY
@given(st.floats(0.05, 5), st.floats(-6, 3), st.floats(-6, 6), st.integers(0, 99))
def test_a_known_slope_and_offset_are_found_again(slope, offset, centre, seed):
    logits = (np.random.default_rng(seed).normal(centre, 2, 200) - offset) / slope
    p = Platt(slope, offset).apply(logits)
    # so much weight that smoothing shows in no digit that is compared, each row split as its probability says
    found = fitted("purchase", np.tile(logits, 2), np.repeat([1, 0], 200), 1e15 * np.concatenate([p, 1 - p]))
    assert (found.slope, found.offset) == (pytest.approx(slope, rel=1e-6), pytest.approx(offset, abs=1e-6))


def test_overconfident_logits_are_corrected_on_rows_that_the_fit_has_not_seen():
    rng = np.random.default_rng(3)
    logits = rng.normal(-5, 2, 200_000)
    outcomes = rng.random(200_000) < Platt(0.5, -1.5).apply(logits)
    # of what didn't happen a tenth, with ten times the weight, as exposures are sampled
    sampled = outcomes | (rng.random(200_000) < 0.1)
    logits, outcomes, weights = logits[sampled], outcomes[sampled], np.where(outcomes, 1.0, 10.0)[sampled]
    fit, rest = slice(0, len(logits) // 2), slice(len(logits) // 2, None)
    found = fitted("purchase", logits[fit], outcomes[fit], weights[fit])
    assert (found.slope, found.offset) == (pytest.approx(0.5, abs=0.03), pytest.approx(-1.5, abs=0.1))
    before = reliability(Platt(1, 0).apply(logits[rest]), outcomes[rest], weights[rest])
    after = reliability(found.apply(logits[rest]), outcomes[rest], weights[rest])
    assert before.ece > 0.01
    assert after.ece < 0.002
    assert after.log_loss < before.log_loss
    assert after.ratio == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("logits", [np.repeat([-1.0, 1.0], [4, 6]), np.full(10, 0.1)])
def test_logits_that_tell_nothing_give_all_rows_the_rate(logits):
    # at -1 three of four happened, at 1 one of six; the targets of four and six are 5/6 and 1/8
    outcomes = np.array([1, 1, 1, 0, 1, 0, 0, 0, 0, 0])
    found = fitted("purchase", logits, outcomes, np.ones(10))
    assert found.slope == 0
    assert found.apply(logits) == pytest.approx(np.full(10, (4 * 5 / 6 + 6 / 8) / 10))


def test_one_outcome_alone_is_refused():
    with pytest.raises(ValueError, match="the purchase head can't be calibrated: 0 of its 1,200 rows are positive"):
        fitted("purchase", np.arange(1200.0), np.zeros(1200), np.ones(1200))
    with pytest.raises(ValueError, match="the click head can't be calibrated: 3 of its 3 rows"):
        fitted("click", np.arange(4.0), np.array([1, 1, 1, 0]), np.array([1, 1, 1, 0]))


def test_malformed_input_is_named():
    fine, outcomes = np.full(4, 0.5), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"probabilities\[2\] is 1.5, not from 0 to 1"):
        reliability(np.array([0, 0.5, 1.5, 1]), outcomes, ONES)
    with pytest.raises(ValueError, match=r"outcomes\[1\] is 2.0, neither 0 nor 1"):
        reliability(fine, outcomes * 2, ONES)
    with pytest.raises(ValueError, match=r"weights\[3\] is -1.0, not 0 or more"):
        reliability(fine, outcomes, np.array([0, 1, 1, -1]))
    with pytest.raises(ValueError, match=r"logits\[0\] is nan, not finite"):
        fitted("purchase", np.array([np.nan, 0, 1, 2]), outcomes, ONES)
    with pytest.raises(ValueError, match="none of the 4 rows has a weight"):
        reliability(fine, outcomes, np.zeros(4))
    with pytest.raises(ValueError, match=r"logits, outcomes and weights are \(3,\), \(4,\) and \(4,\)"):
        fitted("purchase", np.zeros(3), outcomes, ONES)
