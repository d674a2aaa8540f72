"""What may be told of people: settings, read from the environment in this one place."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from schemas.contract import FEWEST
from schemas.exports import LONGEST

MOST = 100  # epsilon of a night: beyond it noise hides nobody
DELTAS = 1e-12, 1e-3  # below, OpenDP, which rounds to the safe side, finds no threshold; above, it hides too few


@dataclass(frozen=True)
class Privacy:
    """Each setting is the variable ``NIGHT_`` and its name in capitals; one that is empty or absent has its default.

    Args:
        k: people that each group which is told of holds at least, 1 or more; 1 asks nothing.
        epsilon, delta: what the noisy figures of one night may tell of a user; an epsilon of 0 releases none.
        window, window_epsilon, window_delta: nights, and what those of any so many nights may tell together.
        most_value: money of 91 days that a user counts for at most in means, in the shop's currency.

    Raises:
        ValueError: if a setting is out of its range.
    """

    k: int = FEWEST
    epsilon: float = 1.0
    delta: float = 1e-8
    window: int = 30
    window_epsilon: float = 6.0
    window_delta: float = 1e-6
    most_value: float = 1000.0

    def __post_init__(self) -> None:
        _require("k", self.k, self.k >= 1, "a whole number of 1 or more")
        _require("epsilon", self.epsilon, 0 <= self.epsilon <= MOST, f"a number from 0 to {MOST}")
        _require("window", self.window, 1 <= self.window <= LONGEST, f"a whole number from 1 to {LONGEST}")
        for name in ("window_epsilon", "most_value"):
            value = getattr(self, name)
            _require(name, value, 0 < value < math.inf, "a number above 0")
        for name in ("delta", "window_delta"):
            value = getattr(self, name)
            _require(name, value, DELTAS[0] <= value <= DELTAS[1], f"a number from {DELTAS[0]} to {DELTAS[1]}")

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Privacy":
        """The settings of ``environment``.

        Raises:
            ValueError: if one can't be read, or is out of its range.
        """
        return cls(
            **{
                field.name: _read(field.name, field.type, text)
                for field in fields(cls)
                if (text := environment.get(_variable(field.name), "").strip())
            }
        )


def _variable(name: str) -> str:
    return f"NIGHT_{name.upper()}"


def _read(name: str, kind: type, text: str) -> float:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{_variable(name)} = {text}, expected a {'whole ' if kind is int else ''}number") from None


def _require(name: str, value: float, met: bool, expected: str) -> None:
    if not met:
        raise ValueError(f"{_variable(name)} = {value}, expected {expected}")


DEFAULT = Privacy()
