"""Policies that were tried, and what each audience had of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from jobs.ranking.trial import Trial

JUMPING = "dpp"  # the parameter that is one thing or the other


@dataclass
class Tried:
    """Remembers what every policy had with every user, so that each audience's means cost no further try.

    Args:
        trial: users and candidates.
        names: of the weights: the trial's objectives, then diversity.
        measures: of :meth:`Trial.outcomes`.
        counts: float64 [n], how much each user counts.
        prior: users at everybody's mean that an audience is credited with before its own.
        parameters: names of what a policy has behind its weights, of :mod:`jobs.ranking.rerank`.
    """

    trial: Trial
    names: tuple[str, ...]
    measures: tuple[str, ...]
    counts: np.ndarray
    prior: float
    parameters: tuple[str, ...] = ()
    weights: list[np.ndarray] = field(default_factory=list)
    outcomes: list[np.ndarray] = field(default_factory=list)

    @property
    def columns(self) -> tuple[str, ...]:
        """Of a policy: the weights, then the parameters."""
        return (*self.names, *self.parameters)

    def evaluate(self, weights: np.ndarray) -> np.ndarray:
        """Everybody's means, float64 [p, m], of policies float64 [p, o]."""
        told = self.trials_of(weights)
        self.weights.append(weights)
        self.outcomes.append(told)
        return self._mean(told, np.ones(len(self.trial), bool))

    def trials_of(self, weights: np.ndarray) -> np.ndarray:
        """What each user had of policies that are not remembered, float32 [p, n, m]."""
        found = self.trial.outcomes(dict(zip(self.columns, weights.T, strict=True)))
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


def distance(policy: np.ndarray, other: np.ndarray, parameters: Sequence[str] = ()) -> float:
    """Half the sum of the weights' absolute differences, or the largest difference of a parameter if that is more.

    0 for the same policy, 1 for two whose weights share nothing. Which re-ranker it is counts for nothing here.

    Args:
        policy, other: float64 [o + s], weights and then the parameters of these names.
    """
    count, apart = len(policy) - len(parameters), np.abs(policy - other)
    moving = [apart[count + place] for place, name in enumerate(parameters) if name != JUMPING]
    return float(max([apart[:count].sum() / 2, *moving]))


def stepped(last: np.ndarray, target: np.ndarray, step: float, parameters: Sequence[str] = ()) -> np.ndarray:
    """The policy on the way from last night's to the target that is no further than the step.

    The re-ranker can't go half the way: it is last night's until all else arrives.
    """
    far = distance(last, target, parameters)
    if far <= step:
        return target
    moved = last + (target - last) * (step / far)
    if JUMPING in parameters:
        place = len(last) - len(parameters) + list(parameters).index(JUMPING)
        moved[place] = last[place]
    return moved


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
