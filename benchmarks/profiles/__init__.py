"""What the nights say of customers, prices, demand, newcomers and reviews, beside plain baselines; what noise costs."""

from benchmarks import Result


def run(quick: bool) -> Result:
    """``quick`` takes a fifth of the households and series and hardly trains: it shows that it runs."""
    from benchmarks.profiles import (  # Spark and pymc take seconds that the list needn't wait
        cold,
        customers,
        demand,
        prices,
        private,
        reviews,
    )

    parts = (customers, prices, demand, cold, reviews, private)
    found = {name: value for part in parts for name, value in part.compare(quick).items()}
    goals = {name: goal for part in parts for name, goal in part.goals(found).items()}
    return Result(goals, found, [row for part in parts for row in part.table(found)])
