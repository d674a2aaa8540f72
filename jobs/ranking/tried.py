"""Policies that were tried, and what each audience had of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from jobs.ranking.trial import Trial


@dataclass
class Tried:
    """Remembers what every policy had with every user, so that each audience's means cost no further try.

    Args:
        trial: users and candidates.
        names: of the weights: the trial's objectives, then diversity.
        measures: of :meth:`Trial.outcomes`.
        counts: float64 [n], how much each user counts.
        prior: users at everybody's mean that an audience is credited with before its own.
    """

    trial: Trial
    names: tuple[str, ...]
    measures: tuple[str, ...]
    counts: np.ndarray
    prior: float
    weights: list[np.ndarray] = field(default_factory=list)
    outcomes: list[np.ndarray] = field(default_factory=list)

    def evaluate(self, weights: np.ndarray) -> np.ndarray:
        """Everybody's means, float64 [p, m], of policies float64 [p, o]."""
        told = self.trials_of(weights)
        self.weights.append(weights)
        self.outcomes.append(told)
        return self._mean(told, np.ones(len(self.trial), bool))

    def trials_of(self, weights: np.ndarray) -> np.ndarray:
        """What each user had of policies that are not remembered, float32 [p, n, m]."""
        found = self.trial.outcomes(dict(zip(self.names, weights.T, strict=True)))
        return np.stack([found[name] for name in self.measures], axis=2).astype(np.float32)

    def means(self, audience: np.ndarray) -> np.ndarray:
        """float64 [p, m] of all policies tried so far, in their order.

        An audience is drawn towards everybody, as if ``prior`` more users had everybody's mean: of few users little is
        known, and they get what is good for all.

        Args:
            audience: bool [n].
        """
        return np.concatenate([self.of(told, audience) for told in self.outcomes])

    def of(self, told: np.ndarray, audience: np.ndarray) -> np.ndarray:
        """The same of some outcomes float32 [p, n, m]."""
        everybody = self._mean(told, np.ones(len(self.trial), bool))
        size = self.counts[audience].sum()
        if audience.all() or size == 0:
            return everybody
        return (size * self._mean(told, audience) + self.prior * everybody) / (size + self.prior)

    def _mean(self, told: np.ndarray, audience: np.ndarray) -> np.ndarray:
        counts = self.counts[audience]
        return np.einsum("pnm,n->pm", told[:, audience], counts, dtype=np.float64) / counts.sum()

    @property
    def tried(self) -> np.ndarray:
        """float64 [p, o], all policies so far."""
        return np.concatenate(self.weights)


def distance(weights: np.ndarray, others: np.ndarray) -> float:
    """Half the sum of absolute differences: 0 for the same policy, 1 for two that share nothing."""
    return float(np.abs(weights - others).sum() / 2)


def stepped(last: np.ndarray, target: np.ndarray, step: float) -> np.ndarray:
    """The policy on the way from last night's to the target that is no further than the step."""
    far = distance(last, target)
    return target if far <= step else last + (target - last) * (step / far)


def railed(ndcg: Sequence[float], floor: float, far: bool) -> str:
    """Which guard rail holds the weights.

    Args:
        ndcg: of the step's policy and of last night's, on the days that are over.
        floor: least that lists must keep.
        far: whether the target lies further than the step.

    Returns:
        "floor" if last night's weights themselves fell below it: then the target is taken at once, for it keeps it;
        "back" if the step would fall below it: last night's stay; "step" if the step holds; "none" if the target is
        no further.
    """
    step, last = ndcg
    if last < floor:
        return "floor" if far else "none"
    if not far:
        return "none"
    return "step" if step >= floor else "back"
