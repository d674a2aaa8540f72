"""The searches for a front, on a made-up trial."""

import numpy as np
import pytest

from jobs.lists.genetic import genetic
from jobs.ranking.pareto import nondominated
from jobs.ranking.rerank import Tastes, few
from jobs.ranking.search import Problem, _multiplied, dual, grid
from jobs.ranking.trial import Trial

PARAMETERS = ("dpp", "calibration", "category_share")
NAMES = ("relevance", "satisfaction", "expected_revenue", "diversity")


@pytest.fixture(scope="module")
def problem():
    """Relevance and satisfaction say the same with noise of their own, revenue something else."""
    random = np.random.default_rng(5)
    liking, money = random.gamma(1.0, size=(2, 40, 30))
    values = {
        "relevance": liking * random.uniform(0.9, 1.1, liking.shape),
        "satisfaction": liking * random.uniform(0.5, 2, liking.shape),
        "expected_revenue": money,
    }
    positions = np.stack([random.permutation(60)[:30] for _ in range(40)])
    angles = random.uniform(0, np.pi / 2, 60)
    units = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    taken = liking > np.quantile(liking, 0.8)
    tastes = Tastes.of(positions % 4, np.repeat(np.arange(40), 3), random.integers(0, 4, 120))
    trial = Trial(values, units, positions, taken, np.where(taken, money, 0), taken.sum(axis=1).clip(1), 5, tastes)
    asked = []

    def evaluate(policies):
        asked.append(len(policies))
        np.testing.assert_allclose(policies[:, : len(NAMES)].sum(axis=1), 1)
        assert (policies >= 0).all()
        columns = (*NAMES, *PARAMETERS)[: policies.shape[1]]
        found = trial.outcomes(dict(zip(columns, policies.T, strict=True)))
        return np.stack([found[name].mean(axis=1) for name in ("ndcg", "revenue", "diversity")], axis=1)

    return Problem(trial, NAMES, evaluate), asked


@pytest.mark.parametrize("search", [dual, grid, genetic])
def test_a_search_keeps_to_its_evaluations_and_tells_what_it_met(problem, search):
    asked = problem[1]
    asked.clear()
    found = search(problem[0], 60)
    assert sum(asked) <= 60
    assert len(found.weights) == len(found.values) >= 30
    np.testing.assert_allclose(problem[0].evaluate(found.weights[-3:]), found.values[-3:], rtol=1e-6)


@pytest.mark.parametrize("search", [dual, grid, genetic])
def test_a_search_moves_the_parameters_that_it_may(problem, search):
    asked = problem[1]
    asked.clear()
    found = search(problem[0]._replace(parameters=PARAMETERS), 120)
    assert sum(asked) <= 120
    moved = found.weights[:, len(NAMES) :] != [0, 0, 1]
    assert moved.any(axis=0).all()
    assert (~moved).all(axis=1).any()
    if search is not genetic:
        assert {tuple(row) for row in few(PARAMETERS)} <= {tuple(row) for row in found.weights[:, len(NAMES) :]}
    np.testing.assert_allclose(problem[0].evaluate(found.weights[-3:]), found.values[-3:], rtol=1e-6)


def test_the_genetic_search_asks_for_whole_generations_the_first_of_which_has_even_weights(problem):
    asked = problem[1]
    asked.clear()
    found = genetic(problem[0], 80)
    assert asked == [40, 40]
    assert found.weights[0].tolist() == [0.25] * 4


def test_the_grid_has_even_steps_and_every_single_objective(problem):
    found = grid(problem[0], 60)
    assert set(np.unique(found.weights).round(9).tolist()) == {0.0, 0.2, 0.4, 0.6, 0.8, 1.0}
    assert len(found.weights) == 56
    assert {tuple(row) for row in np.eye(4)} <= {tuple(row) for row in found.weights.tolist()}


def test_the_dual_mixes_what_says_the_same_and_gives_more_the_more_is_given_up(problem):
    found = dual(problem[0], 400)
    best = found.values[:, 0].max()
    of_revenue = (found.weights[:, 2] > 0) & (found.weights[:, 3] == 0)
    order = np.argsort(found.weights[of_revenue, 2])
    expected = problem[0].trial.outcomes(dict(zip(NAMES, found.weights[of_revenue][order].T, strict=True)))
    assert (np.diff(expected["expected_revenue"].mean(axis=1)) >= -1e-9).all()
    # 1 % of what the shopper wants costs about that much of what comes true, and earns more than that
    near = found.values[:, 0] >= 0.98 * best
    base = found.values[found.values[:, 0].argmax()]
    assert found.values[near, 1].max() > 1.04 * base[1]


def test_a_loss_is_a_share_of_what_the_others_alone_would_take(problem):
    trial, revenue = problem[0].trial, np.array([2])
    half = _multiplied(trial, NAMES, np.array([1.0, 0, 0, 0]), revenue, [0.5])[0] + np.array([1.0, 0, 0, 0])
    policies = np.array([[1.0, 0, 0, 0], half / half.sum(), [0, 0, 1.0, 0]])
    best, between, least = trial.outcomes(dict(zip(NAMES, policies.T, strict=True)))["relevance"].mean(axis=1)
    assert least > 0.3 * best  # so that nine tenths of the best could never be lost
    assert (best - between) / (best - least) == pytest.approx(0.5, abs=0.02)


def test_the_dual_mixes_diversity_with_all_that_the_shopper_does_not_ask_for(problem):
    found = dual(problem[0], 400)
    both = (found.weights[:, :2] == 0).all(axis=1) & (found.weights[:, 2:] > 0).all(axis=1)
    revenue = found.weights[both, 2]
    assert revenue.min() < 0.05
    assert revenue.max() > 0.9


def test_with_a_floor_the_dual_tries_more_of_what_may_be_chosen(problem):
    found = [dual(problem[0]._replace(floor=floor), 150).values[:, 0] for floor in (0.0, 0.95)]
    best = max(each.max() for each in found)
    without, with_floor = ((each >= 0.95 * best).sum() for each in found)
    assert with_floor >= without + 10


def test_the_dual_finds_more_than_a_genetic_search_of_as_many_evaluations_near_the_best(problem):
    mine, theirs = dual(problem[0], 60), genetic(problem[0], 60)
    both = np.concatenate([mine.values, theirs.values])
    near = both[:, 0] >= 0.97 * both[:, 0].max()
    front = nondominated(both[near])
    assert front[: near[: len(mine.values)].sum()].sum() > front.sum() / 2


def test_nobody_can_be_served_whose_wants_no_objective_tells(problem):
    with pytest.raises(ValueError, match="weights are for expected_revenue, diversity: none says what the shopper"):
        dual(Problem(problem[0].trial, ("expected_revenue", "diversity"), problem[0].evaluate), 10)
