"""Pareto-balanced lists beside genetic search, exact optima, heuristics and frozen weights; and re-ranking's speed."""

from benchmarks import Result

TAKES, PARTS = ("part",), ("journey", "beauty", "speed")


def run(quick: bool, part: str | None = None) -> Result:
    """``quick`` takes a few households of three weeks, and hardly trains: it shows that it runs, nothing else.

    ``--part`` journey, beauty or speed makes one part alone.
    """
    from benchmarks.pareto import whole  # torch takes seconds that the list of benchmarks needn't wait

    return whole.run(quick, part)
