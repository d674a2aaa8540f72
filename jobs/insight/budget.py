"""The budget of insight.released: what tonight's releases spent, and what all of a window's together."""

from datetime import date

from pyspark.sql import DataFrame

import schemas
from jobs.insight.spending import Spent, a_night, affordable, dearest, epsilon, spending
from jobs.privacy import Privacy
from jobs.reads import around, privacy
from schemas.exports import LONGEST

READS = {
    "released": around("insight.released", nights=LONGEST),
    "privacy": privacy(),
}
TABLE = schemas.table("insight.budget")


def budget(released: DataFrame, privacy: Privacy, *, day: date) -> DataFrame:
    """One row.

    Args:
        released: insight.released of the night and of those around it.
        privacy: the budget.
        day: the night.
    """
    spent = spending(released)
    tonight = spent.get(day, Spent())
    window = dearest(spent, day, privacy)
    row = (
        day,
        day in spent,
        _told(spent, day, privacy),
        tonight.rho,
        tonight.delta,
        epsilon(tonight, privacy.delta),
        privacy.window,
        window.rho,
        window.delta,
        epsilon(window, privacy.window_delta),
        privacy.window_epsilon,
        privacy.window_delta,
    )
    return released.sparkSession.createDataFrame([row], TABLE.ddl)


def _told(spent: dict[date, Spent], day: date, privacy: Privacy) -> str:
    if day in spent:
        return "Released."
    if not privacy.epsilon:
        return "Nothing is released: NIGHT_EPSILON is 0."
    if affordable(spent, day, privacy):
        return "Nothing was released, though the budget allows it: run insight.released again."
    after = dearest({**spent, day: a_night(privacy)}, day, privacy)
    return (
        f"Nothing is released: with tonight {privacy.window} nights would come to an epsilon of "
        f"{epsilon(after, privacy.window_delta):.3g}, at most {privacy.window_epsilon:g} is allowed."
    )
