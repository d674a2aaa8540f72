"""Which point of a front is taken: the bargain of those whom it serves, or one of the usual other answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobs.ranking.pareto import nondominated, normalised

WAYS = ("nash", "knee", "constraint", "fixed")


@dataclass(frozen=True)
class Bargain:
    """The terms on which a point is chosen.

    Args:
        way: "nash", the largest product of gains, each to the power of its party; "knee", the point farthest from the
            plane through the best of each measure; "constraint", the most of ``wanted`` that the floors leave;
            "fixed", the point of given weights, which whoever calls puts first.
        floors: by measure, the least share of the best value that a point must keep.
        powers: by measure, how much its party counts; missing is 1.
        wanted: the measure of "constraint".
        least: by measure, a bound on the value itself, such as a share of exposure.
    """

    way: str
    floors: dict[str, float]
    powers: dict[str, float]
    wanted: str = ""
    least: tuple[tuple[str, float], ...] = ()

    def __post_init__(self):
        if self.way not in WAYS:
            raise ValueError(f"a bargain is {self.way!r}; there are: {', '.join(WAYS)}")
        if any(power < 0 for power in self.powers.values()):
            raise ValueError(f"powers {self.powers} must not be negative")


@dataclass(frozen=True)
class Chosen:
    """A point of a front, and why it and no other.

    Args:
        point: its place.
        allowed: bool [p], which points keep the floors and bounds.
        disagreement: float64 [m]: what each measure has without a bargain.
        unmet: bounds that no point keeps, which were left out.
    """

    point: int
    allowed: np.ndarray
    disagreement: np.ndarray
    unmet: tuple[str, ...] = ()


def choose(values: np.ndarray, names: Sequence[str], terms: Bargain, usual: int | None = None) -> Chosen:
    """The point that the terms take among those that keep the floors and are not dominated there.

    Without a bargain a measure with a floor falls to its floor, and the others are what they are at the usual point:
    below that nobody would agree (Nash, Econometrica 1950; with powers: Kalai 1977). A measure of which no allowed
    point has more than that takes no part. Multiplying a measure by a positive number changes no choice. Equal points:
    the first.

    Args:
        values: float64 [p, m], higher is better; those of measures with floors are not negative.
        names: of the measures.
        usual: the point without a bargain; None is the best of the measures with floors.

    Raises:
        ValueError: if there is no point, a value is not finite, or a measure of the terms is not among the names.
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        raise ValueError("a front without points: there is nothing to choose from")
    for name in (*terms.floors, *terms.powers, *(name for name, _ in terms.least)):
        if name not in names:
            raise ValueError(f"the bargain is about {name!r}; the front has: {', '.join(names)}")
    place = {name: column for column, name in enumerate(names)}
    allowed, unmet = _allowed(values, place, terms)
    disagreement = _disagreement(values, place, terms, allowed, usual)
    if terms.way == "fixed":
        return Chosen(0, allowed, disagreement, unmet)
    good = np.flatnonzero(allowed)
    good = good[nondominated(values[good])]
    if terms.way == "constraint":
        point = good[values[good, place[terms.wanted]].argmax()]
    elif terms.way == "knee":
        point = good[_bulge(values[good]).argmax()]
    else:
        point = good[_product(values[good], disagreement, [terms.powers.get(name, 1.0) for name in names]).argmax()]
    return Chosen(int(point), allowed, disagreement, unmet)


def _allowed(values: np.ndarray, place: dict[str, int], terms: Bargain) -> tuple[np.ndarray, tuple[str, ...]]:
    """Points that keep all floors and bounds; a floor that none keeps beside the others is told and left out."""
    allowed, unmet = np.ones(len(values), bool), []
    columns = {name: values[:, column] for name, column in place.items()}
    tests = [(name, columns[name] >= share * columns[name].max()) for name, share in terms.floors.items()]
    tests += [(name, columns[name] >= bound) for name, bound in terms.least]
    for name, kept in tests:
        if (allowed & kept).any():
            allowed &= kept
        else:
            unmet.append(name)
    return allowed, tuple(unmet)


def _disagreement(
    values: np.ndarray, place: dict[str, int], terms: Bargain, allowed: np.ndarray, usual: int | None
) -> np.ndarray:
    with_floor = [place[name] for name in terms.floors]
    if not with_floor and usual is None:
        return values[allowed].min(axis=0)
    best = values[:, with_floor].max(axis=0)
    if usual is None:
        shares = normalised(values[:, with_floor], np.zeros(len(with_floor)), best).sum(axis=1)
        usual = int(shares.argmax())
    point = values[usual].copy()
    point[with_floor] = best * list(terms.floors.values())
    return point


def _product(values: np.ndarray, disagreement: np.ndarray, powers: Sequence[float]) -> np.ndarray:
    """float64 [p]: the sum of the logarithms of all gains; -inf where somebody gains nothing."""
    gains = values - disagreement
    counts = (gains > 0).any(axis=0) & (np.asarray(powers) > 0)
    while counts.any():
        with np.errstate(divide="ignore"):
            told = np.where(counts, np.log(np.maximum(gains, 0.0)) * powers, 0.0).sum(axis=1)
        if np.isfinite(told).any():
            return told
        # no point serves all: the party with the least power goes without
        counts[min(np.flatnonzero(counts), key=lambda column: (powers[column], -column))] = False
    return np.zeros(len(values))


def _bulge(values: np.ndarray) -> np.ndarray:
    """float64 [p]: how far a point lies beyond the plane of the best of each measure (Das 1999)."""
    return normalised(values, values.min(axis=0), values.max(axis=0)).sum(axis=1)
