"""The searches for a front by the name that ``schemas.objectives.Terms`` calls them by."""

from jobs.lists.genetic import genetic
from jobs.ranking.search import dual, grid

SEARCHES = {"dual": dual, "grid": grid, "genetic": genetic}
