"""What the nights say of customers and demand, beside plain baselines: value, churn, next purchase, forecasts."""

from benchmarks import Result


def run(quick: bool) -> Result:
    """``quick`` takes a fifth of the households and of the series, and one night: it shows that it runs."""
    from benchmarks.profiles import customers, demand  # Spark and pymc take seconds that the list needn't wait

    found = {**customers.compare(quick), **demand.compare(quick)}
    goals = {**customers.goals(found), **demand.goals(found)}
    return Result(goals, found, [*customers.table(found), *demand.table(found)])
