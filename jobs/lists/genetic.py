"""NSGA-II over weights and parameters of the lists: the search that knows nothing of what it searches."""

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem as Asked
from pymoo.optimize import minimize

from jobs.ranking.rerank import neutral, of_genes
from jobs.ranking.search import Found, Problem

POPULATION = 40
LEAST = 1e-9  # of all genes together, for they are divided by their sum


def genetic(problem: Problem, evaluations: int, seed: int = 17) -> Found:
    """The policies that NSGA-II (Deb et al. 2002) met, with ``POPULATION`` in each generation."""
    met: list[tuple[np.ndarray, np.ndarray]] = []
    count, parameters = len(problem.names), problem.parameters

    class Lists(Asked):
        def __init__(self, measures: int):
            super().__init__(n_var=count + len(parameters), n_obj=measures, xl=0.0, xu=1.0)

        def _evaluate(self, genes: np.ndarray, out: dict, *args, **kwargs) -> None:
            weights = (genes[:, :count] + LEAST) / (genes[:, :count] + LEAST).sum(axis=1, keepdims=True)
            policies = np.concatenate([weights, of_genes(genes[:, count:], parameters)], axis=1)
            values = problem.evaluate(policies)
            met.append((policies, values))
            out["F"] = -values

    first = np.concatenate([np.full(count, 1 / count), neutral(parameters)])[None]
    met.append((first, problem.evaluate(first)))
    population = min(POPULATION, max(evaluations - 1, 2))
    generations = max((evaluations - 1) // population, 1)
    algorithm = NSGA2(pop_size=population)
    minimize(Lists(met[0][1].shape[1]), algorithm, ("n_gen", generations), seed=seed, verbose=False)
    weights, values = (np.concatenate(each) for each in zip(*met, strict=True))
    return Found(weights, values)
