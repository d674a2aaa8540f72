"""Re-ranking beside pyversity on one core: 50 places of 200 candidates of 64 dimensions.

Both take turns in one process on the same lists, which are compared by what they both maximise before they are timed.
"""

import time
from collections.abc import Callable

import numpy as np
import pyversity
from threadpoolctl import threadpool_limits

from benchmarks import Goal, Result
from jobs.ranking.blend import blend, unit
from jobs.ranking.diversify import mmr
from jobs.ranking.dpp import dpp
from jobs.ranking.places import Limits
from jobs.ranking.values import Scale

LISTS, QUICK_LISTS = 512, 32
ROUNDS, QUICK_ROUNDS = 7, 1
CANDIDATES, LENGTH, DIM = 200, 50, 64
KINDS, BRANDS, MOST = 30, 25, 4  # directions that vectors gather around, brands, and items of one brand in a list
DIVERSITY = 0.3  # pyversity's trade-off: 0 is relevance alone, 1 diversity alone
OBJECTIVES = ("relevance", "p_click", "p_purchase", "expected_revenue", "novelty")
SCALES = dict.fromkeys(OBJECTIVES, Scale(0.5, np.inf))
AS_GOOD = 1e-4  # of the peer's value, which float32 makes: a list that much worse would not be an equal
FASTER = 3.0


def run(quick: bool) -> Result:
    """``quick`` takes a few lists once: it shows that it runs.

    Raises:
        ValueError: if pyversity's lists and ours aren't equally good.
    """
    vectors, relevance, brands = _made(QUICK_LISTS if quick else LISTS)
    with threadpool_limits(1):
        ways = _ways(vectors, relevance, brands)
        values = {
            "MMR": _compared("MMR", ways, lambda user, picks: _mmr_value(vectors[user], relevance[user], picks)),
            "DPP": _compared("DPP", ways, lambda user, picks: _dpp_value(vectors[user], relevance[user], picks)),
        }
        seconds = _turns(ways, QUICK_ROUNDS if quick else ROUNDS)
    return _result({name: len(relevance) / float(np.median(each)) for name, each in seconds.items()}, values, seconds)


def _made(lists: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors around a few directions, relevance, and brands; the same on every machine."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((KINDS, DIM))
    kinds = rng.integers(0, KINDS, (lists, CANDIDATES))
    # without negative components, because pyversity takes a negative cosine for 0
    vectors = unit(np.abs(centres[kinds] + 0.8 * rng.standard_normal((lists, CANDIDATES, DIM))).astype(np.float32))
    return vectors, rng.random((lists, CANDIDATES)).astype(np.float32), rng.integers(0, BRANDS, kinds.shape)


def _ways(vectors: np.ndarray, relevance: np.ndarray, brands: np.ndarray) -> dict[str, Callable]:
    """What is timed, by name; each returns int64 [n, LENGTH] picks."""
    rng = np.random.default_rng(1)
    users, base = len(relevance), relevance.astype(np.float64)
    values = {name: np.ma.array(rng.random(base.shape)) for name in OBJECTIVES[1:]} | {"relevance": np.ma.array(base)}
    weights = dict(zip((*OBJECTIVES, "diversity"), (0.4, 0.1, 0.1, 0.1, 0.1, 0.2), strict=True))
    strength, half = np.full(users, 2 * DIVERSITY), np.full(users, 0.5)
    everybody, more = np.ones(base.shape, bool), {"scales": SCALES, "limits": [Limits(brands, MOST)]}

    def theirs(choose: Callable, **more) -> np.ndarray:
        return np.array([
            choose(own, scores, LENGTH, diversity=DIVERSITY, **more).indices
            for own, scores in zip(vectors, relevance, strict=True)
        ])  # fmt: skip

    return {
        "MMR": lambda: mmr((1 - DIVERSITY) * base, vectors, strength, LENGTH).picks,
        # the vectors are of unit length already
        "MMR, pyversity": lambda: theirs(pyversity.mmr, normalize=False),
        "DPP": lambda: dpp(_quality(base), vectors, half, LENGTH).picks,
        "DPP, pyversity": lambda: theirs(pyversity.dpp),
        "5 objectives, MMR, limits": lambda: blend(values, vectors, everybody, weights, LENGTH, **more).picks,
    }


def _quality(relevance: np.ndarray) -> np.ndarray:
    """log of the squared weights of pyversity's kernel: exp((1 - diversity) x z-score of relevance) each."""
    score = (relevance - relevance.mean(axis=-1, keepdims=True)) / relevance.std(axis=-1, keepdims=True)
    return 2 * (1 - DIVERSITY) * score


def _mmr_value(vectors: np.ndarray, relevance: np.ndarray, picks: np.ndarray) -> float:
    """What MMR adds up: (1 - diversity) x relevance - diversity x the largest cosine to those above."""
    own = vectors[picks].astype(np.float64)
    like = np.where(np.tri(len(picks), k=-1, dtype=bool), own @ own.T, -np.inf).max(axis=1)
    return float(np.sum((1 - DIVERSITY) * relevance[picks]) - DIVERSITY * like[1:].sum())


def _dpp_value(vectors: np.ndarray, relevance: np.ndarray, picks: np.ndarray) -> float:
    """The logarithm of the kernel's determinant."""
    own = vectors[picks].astype(np.float64)
    return float(_quality(relevance.astype(np.float64))[picks].sum() + np.linalg.slogdet(own @ own.T)[1])


def _compared(name: str, ways: dict[str, Callable], value: Callable) -> dict[str, float]:
    """Mean values of both, and the share of lists that are the same.

    Raises:
        ValueError: if the mean values are further apart than float32 explains.
    """
    ours, theirs = ways[name](), ways[f"{name}, pyversity"]()
    means = [float(np.mean([value(*each) for each in enumerate(lists)])) for lists in (ours, theirs)]
    if abs(means[0] - means[1]) > AS_GOOD * abs(means[1]):
        raise ValueError(f"{name}: lists are worth {means[0]} and pyversity's {means[1]}; they are not the same task")
    return {"ours": means[0], "pyversity": means[1], "same_lists": float((ours == theirs).all(axis=1).mean())}


def _turns(ways: dict[str, Callable], rounds: int) -> dict[str, list[float]]:
    """Seconds of this thread's time, which leave out what else the machine does."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds):
        for name, make in list(ways.items())[:: 1 if turn % 2 == 0 else -1]:
            began = time.thread_time()
            make()
            seconds[name].append(round(time.thread_time() - began, 4))
    return seconds


def _result(rates: dict[str, float], values: dict[str, dict], seconds: dict[str, list[float]]) -> Result:
    # pyversity knows no limits and one score: the whole blend is measured against less work than it does
    peers = {"MMR": "MMR", "DPP": "DPP", "5 objectives, MMR, limits": "MMR"}
    times = {name: round(rates[name] / rates[f"{peer}, pyversity"], 2) for name, peer in peers.items()}
    goals = {f"{name}: times pyversity's {peers[name]}": Goal(FASTER, each, least=True) for name, each in times.items()}
    rows = [["one core", "lists/s", "us/list", "times pyversity", "mean value", "same lists"]]
    for name, rate in rates.items():
        kind = name.removesuffix(", pyversity")
        worth = values.get(kind, {})
        mean = worth.get("pyversity" if "pyversity" in name else "ours")
        shares = "" if not worth or "pyversity" in name else f"{worth['same_lists']:.1%}"
        cells = [f"{times[name]:.1f}" if name in times else "", "" if mean is None else f"{mean:.4f}", shares]
        rows.append([name, f"{rate:.0f}", f"{1e6 / rate:.0f}", *cells])
    shape = {"candidates": CANDIDATES, "length": LENGTH, "dimensions": DIM}
    return Result(goals, {**shape, "lists_per_second": rates, "values": values, "thread_seconds": seconds}, rows)
