"""What is settled on for each audience: the bargain's point, moved there by no more than the guard rails allow."""

from dataclasses import dataclass

import numpy as np
from moocore import hypervolume

from jobs.lists.audiences import EVERYBODY
from jobs.ranking.bargain import Bargain, Chosen, choose
from jobs.ranking.lagrange import constrained
from jobs.ranking.pareto import nondominated, normalised, spacing, varying
from jobs.ranking.rerank import NEUTRAL, neutral
from jobs.ranking.tried import Tried, distance, railed, stepped
from jobs.ranking.values import SHOPPER
from schemas.objectives import Terms

SHOPPERS = "ndcg"  # the measure with the floor
RAIL_WORDS = {
    "step": "The bargain's point lies farther away: weights move no more than a bounded step a night.",
    "back": "The step would fall below the floor, so last night's weights stay.",
    "floor": "Last night's weights fell below the floor on days that are over: the bargain's point is taken at once.",
}


@dataclass(frozen=True)
class Points:
    """An audience's front and choice.

    Args:
        values: float64 [p, m] of all policies that the search tried.
        efficient: bool [p], which of them no other beats.
        policy: float64 [o + s], what was settled on: weights, then parameters.
        measures: float64 [m], what its lists had.
        efficient_choice: whether no policy that was tried beats it.
        hypervolume: of the front, from the worst of each measure that differs to the best of each, as a share.
        spacing: of the front.
        gain_share: see lists.front; of everybody alone.
        moved: since last night; None on the first.
        rail, told: as in lists.front.
    """

    values: np.ndarray
    efficient: np.ndarray
    policy: np.ndarray
    measures: np.ndarray
    efficient_choice: bool
    hypervolume: float
    spacing: float
    gain_share: float | None
    moved: float | None
    rail: str
    told: str


def settled(
    tried: Tried, members: dict[str, np.ndarray], since: dict[str, dict[str, float]], terms: Terms
) -> dict[str, Points]:
    """By audience, of the policies that were tried.

    Args:
        tried: by the search; what the guard rails ask for is tried beside it.
        members: by audience, bool [n]; the first is everybody.
        since: last night's weights and parameters by audience.
        terms: of the bargain.
    """
    policies, bargain = tried.tried, bargained(terms, tried.measures)
    values = {name: tried.means(each) for name, each in members.items()}
    usual = _usual(policies, values[next(iter(members))], tried)
    chosen = {name: choose(each, tried.measures, bargain, usual) for name, each in values.items()}
    targets = {name: _fixed(tried, terms) if terms.way == "fixed" else policies[chosen[name].point] for name in members}
    last = {name: _known(since[name], tried) if name in since else None for name in members}
    moves = {
        name: (target, target)
        if last[name] is None
        else (stepped(last[name], target, terms.step, tried.parameters), last[name])
        for name, target in targets.items()
    }
    told = tried.trials_of(np.concatenate([np.stack([*moves[name], targets[name]]) for name in members]))
    return {
        name: _points(
            name,
            tried,
            values[name],
            chosen[name],
            usual,
            np.stack([*moves[name], targets[name]]),
            tried.of(told[3 * place : 3 * place + 3], members[name]),
            last[name],
            terms,
        )
        for place, name in enumerate(members)
    }


def _points(
    audience: str,
    tried: Tried,
    values: np.ndarray,
    chosen: Chosen,
    usual: int | None,
    moves: np.ndarray,
    found: np.ndarray,
    last: np.ndarray | None,
    terms: Terms,
) -> Points:
    """Settles one audience.

    Args:
        moves, found: the policies of the bounded step, of last night and of the target, and their measures.
    """
    shopper = tried.measures.index(SHOPPERS)
    best = values[:, shopper].max()
    far = last is not None and distance(last, moves[2], tried.parameters) > terms.step
    rail = "none" if last is None or terms.way == "fixed" else railed(found[:2, shopper], terms.floor * best, far)
    place = {"none": 2, "step": 0, "back": 1, "floor": 2}[rail]
    taken, measures = moves[place], found[place]
    efficient = nondominated(values)
    differing = varying(values)
    front = normalised(differing, differing.min(axis=0), differing.max(axis=0))
    moved = None if last is None else distance(last, taken, tried.parameters)
    return Points(
        values,
        efficient,
        taken,
        measures,
        bool(nondominated(np.concatenate([measures[None], values]))[0]),
        float(hypervolume(-front[efficient], ref=[0.0] * front.shape[1])),
        spacing(front[efficient]),
        _gain_share(tried, taken) if audience == EVERYBODY else None,
        moved,
        rail,
        _told(tried, values, chosen, usual, taken, measures, last, rail, terms),
    )


def _usual(policies: np.ndarray, values: np.ndarray, tried: Tried) -> int | None:
    """The policy, of those that look at nothing but what the shopper wants, with the best lists for everybody."""
    weights, parameters = np.split(policies, [len(tried.names)], axis=1)
    own = np.array([name in SHOPPER for name in tried.names])
    plain = (weights[:, ~own] == 0).all(axis=1) & (parameters == neutral(tried.parameters)).all(axis=1)
    plain = np.flatnonzero(plain)
    return int(plain[values[plain, tried.measures.index(SHOPPERS)].argmax()]) if len(plain) else None


def _fixed(tried: Tried, terms: Terms) -> np.ndarray:
    return _known(dict(terms.fixed), tried)


def _known(given: dict[str, float], tried: Tried) -> np.ndarray:
    """float64 [o + s]: a policy by name; a parameter that it doesn't tell is neutral."""
    parameters = [given.get(name, NEUTRAL[name]) for name in tried.parameters]
    return np.concatenate([policy(given, tried.names), parameters])


def policy(weights: dict[str, float], names: tuple[str, ...]) -> np.ndarray:
    """float64 [o]: of the objectives that there are; what others had goes to these in proportion."""
    kept = np.array([weights.get(name, 0.0) for name in names])
    return kept / kept.sum() if kept.sum() > 0 else np.full(len(names), 1 / len(names))


def _gain_share(tried: Tried, taken: np.ndarray) -> float | None:
    """How much of the expected revenue that any lists could add, for what these keep of relevance, they do add.

    From the lists that are best for the shopper by the same weights; None where revenue is unknown or has no weight.
    """
    trial, names = tried.trial, list(tried.names)
    weights = taken[: len(names)]
    wanted = sum(weights[names.index(name)] * trial.values[name] for name in SHOPPER if name in names)
    if "expected_revenue" not in names or not np.any(wanted) or not weights[names.index("expected_revenue")]:
        return None
    shoppers = np.concatenate([np.where([name in SHOPPER for name in names], weights, 0.0), neutral(tried.parameters)])
    ours, best = (
        trial.picked({name: np.array([w]) for name, w in zip(tried.columns, each, strict=True)})
        for each in (taken, shoppers)
    )
    off = trial.positions < 0
    gain, value = np.where(off, -np.inf, trial.values["expected_revenue"]), np.where(off, 0.0, wanted)
    kept = value[ours].sum()
    most = constrained(gain, value, trial.length, kept * (1 - 1e-9)).most
    start = gain[best].sum()
    return float((gain[ours].sum() - start) / (most - start)) if most > start else None


def _told(
    tried: Tried,
    values: np.ndarray,
    chosen: Chosen,
    usual: int | None,
    taken: np.ndarray,
    measures: np.ndarray,
    last: np.ndarray | None,
    rail: str,
    terms: Terms,
) -> str:
    """What was settled on, what it costs and brings beside the most relevant lists, and what moved."""
    shopper = tried.measures.index(SHOPPERS)
    best = values[values[:, shopper].argmax() if usual is None else usual]
    way = {"nash": "Nash bargain", "knee": "Knee", "constraint": f"Most {terms.wanted}"}
    among = (
        f"among the {int(chosen.allowed.sum())} of {len(values)} policies that keep {terms.floor:.0%} of the best "
        f"{SHOPPERS}"
    )
    how = "Fixed weights" if terms.way == "fixed" else f"{way[terms.way]} {among}"
    change = ", ".join(
        f"{name} {100 * (mine / other - 1):+.1f} %"
        for name, mine, other in zip(tried.measures, measures, best, strict=True)
        if other > 0
    )
    words = [f"{how}; beside the most relevant lists: {change}."]
    words += [f"No policy keeps the bound on {name}, so it was left out." for name in chosen.unmet]
    if last is not None:
        moved = [
            f"{name} {before:.3f} to {after:.3f}"
            for name, before, after in zip(tried.columns, last, taken, strict=True)
            if abs(after - before) >= 0.0005
        ]
        words.append(f"Since last night: {', '.join(moved)}." if moved else "The weights stay as they were last night.")
    words += [RAIL_WORDS[rail]] if rail != "none" else []
    return " ".join(words)


def bargained(terms: Terms, measures: tuple[str, ...]) -> Bargain:
    """The terms about measures that the data supports."""
    least = (("fairness", terms.fairness),) if terms.fairness > 0 and "fairness" in measures else ()
    powers = {name: power for name, power in terms.powers if name in measures}
    wanted = terms.wanted if terms.wanted in measures else measures[-1]
    return Bargain(terms.way, {SHOPPERS: terms.floor}, powers, wanted, least)
