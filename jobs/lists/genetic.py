"""NSGA-II over weights and parameters of the lists: the search that knows nothing of what it searches."""

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.population import Population
from pymoo.core.problem import Problem as Asked
from pymoo.optimize import minimize

from jobs.ranking.rerank import of_genes
from jobs.ranking.search import Found, Problem

POPULATION = 40
LEAST = 1e-9  # of all genes together, for they are divided by their sum


def genetic(problem: Problem, evaluations: int, seed: int = 17) -> Found:
    """The policies that NSGA-II (Deb et al. 2002) met, with ``POPULATION`` in each generation.

    The first generation is random but for one policy of even weights and neutral parameters.
    """
    met: list[tuple[np.ndarray, np.ndarray]] = []
    count, parameters = len(problem.names), problem.parameters

    def costs(genes: np.ndarray) -> np.ndarray:
        weights = (genes[:, :count] + LEAST) / (genes[:, :count] + LEAST).sum(axis=1, keepdims=True)
        policies = np.concatenate([weights, of_genes(genes[:, count:], parameters)], axis=1)
        met.append((policies, problem.evaluate(policies)))
        return -met[-1][1]

    class Lists(Asked):
        def _evaluate(self, genes: np.ndarray, out: dict, *args, **kwargs) -> None:
            out["F"] = costs(genes)

    population = min(POPULATION, evaluations)
    genes = np.random.default_rng(seed).random((population, count + len(parameters)))
    genes[0] = np.arange(genes.shape[1]) < count
    first = Population.new(X=genes, F=costs(genes))
    for each in first:
        each.evaluated = {"F", "G", "H"}  # so that they aren't asked for again
    lists = Lists(n_var=genes.shape[1], n_obj=met[0][1].shape[1], xl=0.0, xu=1.0)
    algorithm = NSGA2(pop_size=population, sampling=first)
    minimize(lists, algorithm, ("n_gen", evaluations // population), seed=seed, verbose=False)
    weights, values = (np.concatenate(each) for each in zip(*met, strict=True))
    return Found(weights, values)
