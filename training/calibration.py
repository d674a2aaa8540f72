"""Whether a head's probabilities are what happens, and the correction of its logits where they aren't.

A weight counts as that many rows: 200 for one row that stands for 200, never a share of the whole.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, xlog1py, xlogy

BINS = 15
STEPS = 100  # of Newton's method, which takes about ten
CLOSE = 1e-12  # Newton decrement, nats a row: the step after it is the last
RIDGE = 1e-12  # keeps a curvature that vanishes from being singular; what is found doesn't depend on it


@dataclass(frozen=True)
class Reliability:
    """How probabilities compare with outcomes, in bins of about equal weight, lowest probabilities first.

    Args:
        predicted: mean probability of each bin.
        observed: rate of the outcome in each bin.
        weight: share of all weight in each bin; they sum to 1.
        ece: expected calibration error, the sum of weight * |predicted - observed|.
        brier: mean squared difference of probability and outcome.
        log_loss: nats a row; infinite where something had probability 0 and happened, or 1 and didn't.
        ratio: mean probability / rate of the outcome; infinite where it never happened.
        rows, positives: unweighted, the rows it rests on and those of them with the outcome.
    """

    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    weight: tuple[float, ...]
    ece: float
    brier: float
    log_loss: float
    ratio: float
    rows: int
    positives: int


def reliability(probabilities: np.ndarray, outcomes: np.ndarray, weights: np.ndarray, bins: int = BINS) -> Reliability:
    """Calibration error (Guo et al. 2017) over bins of equal mass (Nguyen and O'Connor 2015), and the proper scores.

    Probabilities of rare outcomes are all tiny: bins of equal width would put them into one. Equal probabilities share
    a bin, so there can be fewer bins than asked for.

    Args:
        probabilities: float[N] from 0 to 1.
        outcomes: [N] of 0 and 1.
        weights: float[N], 0 or more.

    Raises:
        ValueError: if a value is out of its range, or no row has a weight.
    """
    probabilities = np.asarray(probabilities, np.float64)
    _refuse("probabilities", probabilities, (probabilities >= 0) & (probabilities <= 1), "not from 0 to 1")
    predicted, happened, weights = _checked("probabilities", probabilities, outcomes, weights)
    which = _bins(predicted, weights, bins)
    mass = np.bincount(which, weights)
    filled = mass > 0
    mean, rate = (np.bincount(which, weights * each)[filled] / mass[filled] for each in (predicted, happened))
    shares = mass[filled] / weights.sum()
    scores = xlogy(happened, predicted) + xlog1py(1 - happened, -predicted)
    overall = weights @ happened
    return Reliability(
        predicted=tuple(mean.tolist()),
        observed=tuple(rate.tolist()),
        weight=tuple(shares.tolist()),
        ece=float(shares @ np.abs(mean - rate)),
        brier=float(weights @ (predicted - happened) ** 2 / weights.sum()),
        log_loss=float(-(weights @ scores) / weights.sum()),
        ratio=float(weights @ predicted / overall) if overall else float("inf"),
        rows=len(weights),
        positives=int(happened.sum()),
    )


@dataclass(frozen=True)
class Platt:
    """p = sigmoid(slope * logit + offset)."""

    slope: float
    offset: float

    def apply(self, logits: np.ndarray) -> np.ndarray:
        """float64 probabilities, in the shape of the logits."""
        return expit(self.slope * np.asarray(logits, np.float64) + self.offset)


def fitted(name: str, logits: np.ndarray, outcomes: np.ndarray, weights: np.ndarray) -> Platt:
    """The slope and offset that make the head ``name`` likeliest, with Platt's (1999) smoothed targets.

    Logits that rank worse than chance would get a negative slope: theirs is 0, so that all get the outcome's rate.

    Args:
        logits: float[N].
        outcomes: [N] of 0 and 1.
        weights: float[N], 0 or more.

    Raises:
        ValueError: if a value is out of its range, or the rows with a weight don't show both outcomes.
    """
    logits, happened, weights = _checked("logits", logits, outcomes, weights)
    if happened.min() == happened.max():
        raise ValueError(
            f"the {name} head can't be calibrated: {int(happened.sum()):,} of its {len(happened):,} rows are positive, "
            "and it takes both outcomes"
        )
    yes = weights @ happened
    no = weights.sum() - yes
    targets = np.where(happened == 1, (yes + 1) / (yes + 2), 1 / (no + 2))
    shares = weights / weights.sum()
    centre = shares @ logits
    spread = np.sqrt(shares @ (logits - centre) ** 2)
    # the loss is convex, so the best slope has the sign of the covariance
    if np.ptp(logits) == 0 or (shares * (logits - centre)) @ targets <= 0:
        return Platt(0.0, float(logit(shares @ targets)))
    slope, offset = _likeliest((logits - centre) / spread, targets, shares)
    return Platt(float(slope / spread), float(offset - slope * centre / spread))


def _likeliest(feature: np.ndarray, targets: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Slope and offset of a logistic regression: Newton's method, steps halved until they help (Lin et al. 2007)."""
    design = np.stack([feature, np.ones_like(feature)])

    def loss(theta: np.ndarray) -> float:
        z = theta @ design
        return shares @ (np.logaddexp(0, z) - targets * z)

    theta = np.array([0.0, logit(shares @ targets)])
    for _ in range(STEPS):
        p = expit(theta @ design)
        gradient = design @ (shares * (p - targets))
        curvature = (design * (shares * p * (1 - p))) @ design.T + RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        decrement = gradient @ step
        if decrement < CLOSE:
            return theta - step
        now, scale = loss(theta), 1.0
        while loss(theta - scale * step) > now - 1e-4 * scale * decrement:
            scale /= 2
        theta = theta - scale * step
    raise FloatingPointError(f"no logistic regression after {STEPS} steps; slope and offset are at {theta.tolist()}")


def _bins(values: np.ndarray, weights: np.ndarray, bins: int) -> np.ndarray:
    """int64[N], ascending with the values: each distinct value goes where the middle of its weight lies."""
    _, distinct = np.unique(values, return_inverse=True)
    mass = np.bincount(distinct, weights)
    middle = (np.cumsum(mass) - mass / 2) / weights.sum()
    return (bins * middle).astype(np.int64)[distinct]


def _checked(
    name: str, values: np.ndarray, outcomes: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows that have a weight, as float64[N] each."""
    values, happened, weights = (np.asarray(each, np.float64) for each in (values, outcomes, weights))
    if not values.shape == happened.shape == weights.shape == (len(values),):
        raise ValueError(f"{name}, outcomes and weights are {values.shape}, {happened.shape} and {weights.shape}")
    _refuse(name, values, np.isfinite(values), "not finite")
    _refuse("outcomes", happened, (happened == 0) | (happened == 1), "neither 0 nor 1")
    _refuse("weights", weights, (weights >= 0) & np.isfinite(weights), "not 0 or more")
    if not weights.any():
        raise ValueError(f"none of the {len(weights):,} rows has a weight")
    return values[weights > 0], happened[weights > 0], weights[weights > 0]


def _refuse(name: str, values: np.ndarray, fine: np.ndarray, why: str) -> None:
    if not fine.all():
        place = int(np.argmin(fine))
        raise ValueError(f"{name}[{place}] is {values[place]}, {why}")
