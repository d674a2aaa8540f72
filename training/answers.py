"""How well the heads foresaw the held-out days: probabilities of what was shown, and money of what was bought."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from training.calibration import Platt, Reliability, reliability
from training.data import Night
from training.exposures import Exposures
from training.heads import LOGITS
from training.served import Served


@dataclass(frozen=True)
class Answers:
    """What the judge measured of the heads.

    Args:
        reliability: by "p_click" and "p_purchase", of all that was shown, with and without the correction.
        corrections: of the heads' logits, by "click" and "purchase".
        spend: "ratio" of the money expected to the money paid, "mae" of the expectation for one purchase, and
            "mae_usual" of what the item's purchases brought before; empty without a head or without purchases.
    """

    reliability: dict[str, Reliability]
    corrections: dict[str, Platt]
    spend: dict[str, float]

    @classmethod
    def of(cls, served: Served, manifest: dict, night: Night) -> "Answers":
        """Of an export on the held-out days of the night, by what was known at the cut."""
        found = {name: Platt(**each) for name, each in manifest["corrections"].items()}
        shown = night.exposures.where(night.exposures.days >= night.cut)
        told = [name for name in LOGITS if name in manifest["tasks"]]
        reliabilities = _reliabilities(served, night, shown, told, found) if told and len(shown) else {}
        return cls(reliabilities, found, _spend(served, night) if "spend" in manifest["tasks"] else {})

    def metrics(self) -> dict[str, float]:
        """By name, for MLflow: calibration errors, predicted over observed, and of money."""
        told = {f"spend_{name}": value for name, value in self.spend.items()}
        for title, found in self.reliability.items():
            name = title.replace(", ", "_").replace(" ", "_")
            told |= {f"ece_{name}": found.ece, f"brier_{name}": found.brier}
            told |= {f"ratio_{name}": found.ratio} if np.isfinite(found.ratio) else {}
        return told


def _reliabilities(
    served: Served, night: Night, shown: Exposures, told: list[str], corrections: dict[str, Platt]
) -> dict[str, Reliability]:
    """As the lists have the probabilities, and as they would be without the corrections."""
    corrected = served.answers(night, shown, night.cut)
    raw = {name: _undone(corrected[name], corrections.get(name)) for name in told}
    found: dict[str, Reliability] = {}
    for suffix, logits in (("", corrected), (", uncorrected", raw)):
        if suffix and not corrections:
            continue
        click = expit(logits["click"]) if "click" in told else np.ones(len(shown))
        clicks = ~np.isnan(shown.clicked)
        if "click" in told and clicks.any():
            labels = (shown.clicked[clicks], shown.weights[clicks])
            found[f"p_click{suffix}"] = reliability(click[clicks], *labels)
        if "purchase" in told:
            both = np.where(clicks, click, 1.0) * expit(logits["purchase"])
            bought = np.where(clicks, shown.bought * shown.clicked, shown.bought)  # by the click, where they are known
            found[f"p_purchase{suffix}"] = reliability(both, bought, shown.weights)
    return found


def _undone(logits: np.ndarray, correction: Platt | None) -> np.ndarray:
    if correction is None or correction.slope == 0:  # a slope of 0 forgets what it was given
        return logits
    return (logits - correction.offset) / correction.slope


def _spend(served: Served, night: Night) -> dict[str, float]:
    """Of the lines of the held-out days that were paid for, by the basket."""
    users, items, paid = night.histories.between(night.cut, night.end).purchases()
    _, before, money = night.histories.between(-np.inf, night.cut).purchases()
    if not len(paid) or not len(money):
        return {}
    expected = served.spend(night, users, items, night.cut)
    count, sums = (np.bincount(before, each, minlength=len(night.item_ids)) for each in (None, money))
    usual = np.where(count > 0, sums / np.maximum(count, 1), money.mean())
    return {
        "ratio": float(expected.sum() / paid.sum()),
        "mae": float(np.abs(expected - paid).mean()),
        "mae_usual": float(np.abs(usual[items] - paid).mean()),
    }
