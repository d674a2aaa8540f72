"""What may be told of people: settings, read from the environment in this one place."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from schemas.contract import FEWEST


@dataclass(frozen=True)
class Privacy:
    """Each setting is the variable ``NIGHT_`` and its name in capitals; one that is empty or absent has its default.

    Args:
        k: people that each group which is told of holds at least, 1 or more; 1 asks nothing.

    Raises:
        ValueError: if a setting is out of its range.
    """

    k: int = FEWEST

    def __post_init__(self) -> None:
        _require("k", self.k, self.k >= 1, "a whole number of 1 or more")

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
