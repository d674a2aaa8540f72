"""From what words and the language model say of a review to calibrated probabilities and one class."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

LEANS = np.linspace(0, 1.5, 31)  # of the classes' frequency, how much is taken back before the likeliest is chosen


@dataclass(frozen=True)
class Verdict:
    """probabilities = softmax(words * a + read * b + offsets); the class is the likeliest of these times ``chosen``.

    Args:
        scales: a and b, 0 or more.
        offsets: float64[classes].
        lean: float64[classes], what is added to the log probabilities before the likeliest class is taken: rare
            classes would hardly ever be the likeliest (logit adjustment: Menon et al. 2021).
    """

    scales: tuple[float, float]
    offsets: np.ndarray
    lean: np.ndarray

    def log_probabilities(self, words: np.ndarray, read: np.ndarray) -> np.ndarray:
        """float64[N, classes] of two times float[N, classes] logits."""
        return log_softmax(self.scales[0] * words + self.scales[1] * read + self.offsets, axis=1)

    def classes(self, words: np.ndarray, read: np.ndarray) -> np.ndarray:
        """int64[N]."""
        return (self.log_probabilities(words, read) + self.lean).argmax(1)


def settled(words: np.ndarray, read: np.ndarray, classes: np.ndarray) -> Verdict:
    """The likeliest scales and offsets for reviews that neither learned from, then the lean with the best macro-F1."""
    count = words.shape[1]
    happened = np.eye(count)[classes]
    logits = [np.asarray(each, np.float64) for each in (words, read)]

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        told = log_softmax(theta[0] * logits[0] + theta[1] * logits[1] + theta[2:], axis=1)
        away = (np.exp(told) - happened) / len(classes)
        gradient = [(away * each).sum() for each in logits]
        return float(-(told * happened).sum() / len(classes)), np.array([*gradient, *away.sum(0)])

    bounds = [(0, None)] * 2 + [(None, None)] * count
    theta = minimize(loss, np.array([1.0, 1.0, *[0.0] * count]), jac=True, method="L-BFGS-B", bounds=bounds).x
    usual = np.log(happened.mean(0).clip(min=1e-9))
    plain = Verdict((float(theta[0]), float(theta[1])), theta[2:], np.zeros(count))
    tried = [Verdict(plain.scales, plain.offsets, -share * usual) for share in LEANS]
    return max(tried, key=lambda each: macro_f1(classes, each.classes(words, read), count))


def macro_f1(classes: np.ndarray, told: np.ndarray, count: int) -> float:
    """Mean over the classes of 2 TP / (2 TP + FP + FN); a class that neither is nor is told counts 0."""
    hits, are, said = (np.bincount(each, minlength=count) for each in (classes[classes == told], classes, told))
    return float(np.mean(2 * hits / np.maximum(are + said, 1)))
