"""Cold start on the Complete Journey: products and households that were hidden from training, beside popularity."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zlib import crc32

import numpy as np
import pyarrow as pa

from benchmarks import Goal
from benchmarks.accuracy import journey, ours, peers
from benchmarks.accuracy.protocol import Scores, Split
from jobs.lists.arrivals import Arrivals
from jobs.lists.blocks import Block, lists
from jobs.lists.scorer import manifest
from training.baselines import best
from training.data import Histories, Night, load
from training.metrics import Relevant, accuracy
from training.recipe import Recipe
from training.recipes import recipe
from training.served import Exported

SETS, USERS_HIDDEN = 20, 10  # of products, in as many; of households, every so many
QUICK_SETS = 2
QUICK_STEPS = 4
ON_SALE = 56.0  # days: what sold since is on sale, as in catalogue.items
TOP = 10
TWICE = 2.0
ITEMS, UNSEEN = "hidden products", "hidden products that training never saw"
USERS, ONE = "hidden households", "hidden households, one basket known"
OURS, POPULARITY, ALONE = "ours", "popularity", "the model alone"
ORACLE = "the ten that most of them will buy"


def compare(quick: bool) -> dict[str, dict[str, float]]:
    """Recall@10 of the last week by question and contender. ``quick`` hardly trains.

    Products fall into twenty sets, and each is hidden in turn: of those who bought some of its products on sale it is
    asked which, and their past is told without them. One set in ten holds a bestseller, and figures of one set hang on
    that; but training, of which what products say learns hardly anything of a single one, saw no event of the first set
    alone, which is told by itself too. Nor did it see every tenth household, of which it is asked what they buy of all
    products, first with nothing known of them and then with their last basket.
    """
    chosen = recipe("cpu")
    if quick:
        chosen = replace(chosen, steps=QUICK_STEPS, repeats_steps=QUICK_STEPS)
    made = journey.prepare()
    data = journey.load(made)
    split = data.week(journey.LAST)
    sets = np.array([crc32(item.encode()) % SETS for item in data.catalogue.ids])
    households = np.array([crc32(user.encode()) % USERS_HIDDEN == 0 for user in data.users])
    everything = data.upto(journey.LAST)
    known = only(everything, (sets[everything.items] != 0) & ~households[everything.users])
    with tempfile.TemporaryDirectory(prefix="cold-") as folder:
        export, night = _trained(data, known, chosen, Path(folder))
        learned = replace(split, train=known.between(-np.inf, split.now), asked=known.between(-np.inf, split.now))
        return {
            **_products(learned, split, sets, range(QUICK_SETS if quick else SETS), households, export, night, data),
            **_households(learned, split, households, export, night, data),
        }


def only(histories: Histories, kept: np.ndarray) -> Histories:
    """The events where ``kept``; users stay at their place."""
    offsets = np.concatenate([[0], np.cumsum(kept)])[histories.offsets]
    parts = (histories.items, histories.times, histories.amounts, histories.baskets)
    return Histories(offsets, *(each[kept] for each in parts))


def _trained(data: journey.Journey, known: Histories, chosen: Recipe, folder: Path) -> tuple[Path, Night]:
    lake, day = folder / "lake", journey.LAST
    ours.write_lake(lake, day, data.users, known, data.catalogue)
    return ours.train(folder, lake, day, chosen), load(str(lake), day)


def _products(
    learned: Split,
    split: Split,
    sets: np.ndarray,
    asked_of: range,
    households: np.ndarray,
    export: Path,
    night: Night,
    data: journey.Journey,
) -> dict[str, dict[str, float]]:
    """Of all sets, the mean of each contender's; and of the first."""
    vectors = _vectors(export, night, data)
    each = [_set(split, sets == number, households, export, vectors, data) for number in asked_of]
    means = {name: float(np.mean([told[name] for told in each])) for name in (OURS, POPULARITY)}
    by_model = ours.scores(export, night, data.catalogue, learned)
    asked, shown = _hidden(split, sets == 0, households)
    alone = best(_few(by_model, asked.users)[:, shown], TOP)
    return {ITEMS: means, UNSEEN: each[0] | {ALONE: _recall(alone, asked.relevant)}}


def _hidden(split: Split, products: np.ndarray, households: np.ndarray) -> tuple[Split, np.ndarray]:
    """Who of the other households bought some of the products on sale, and int64 [s], which these are."""
    late = split.asked.between(split.now - ON_SALE, split.now)
    shown = np.flatnonzero(products & (np.bincount(late.items, minlength=split.items) > 0))
    place = np.full(split.items, -1)
    place[shown] = np.arange(len(shown))
    return _about(split, lambda user, taken: place[taken][(place[taken] >= 0) & ~households[user]]), shown


def _set(
    split: Split, products: np.ndarray, households: np.ndarray, export: Path, vectors: np.ndarray, data: journey.Journey
) -> dict[str, float]:
    """Of one set, hidden from the past of all."""
    asked, shown = _hidden(split, products, households)
    seen = split.asked
    bought = only(seen, ~products[seen.items] & ~households[seen.users])
    first = journey.LAST - timedelta(days=1)
    every, sold = (
        Block(ids, pa.table({"item_id": ids, "vector": lists(rows), "first_seen": pa.array([first] * len(ids))}))
        for ids, rows in ((pa.array(data.catalogue.ids), vectors), (_ids(data, shown), vectors[shown]))
    )
    pairs = np.unique(np.stack([bought.users, bought.items]), axis=1)
    buyers = np.bincount(pairs[1], minlength=split.items).astype(float)
    arrivals = Arrivals.beside(every, buyers, sold, pa.array([], pa.string()), manifest(str(export))["text_dim"])
    pasts = pa.array([[data.catalogue.ids[item] for item in bought.of(user)[0]] for user in asked.users],
                     pa.list_(pa.string()))  # fmt: skip
    late = bought.between(split.now - ON_SALE, split.now)
    popular = _alike(_of_categories(late, products, data)[shown], len(asked.users))
    told = {OURS: arrivals.liked(pasts, TOP), POPULARITY: popular}
    return {name: _recall(each, asked.relevant) for name, each in told.items()}


def _households(
    learned: Split, split: Split, households: np.ndarray, export: Path, night: Night, data: journey.Journey
) -> dict[str, dict[str, float]]:
    """All hidden ones that bought something; and of these, those with a basket before."""
    asked = _about(split, lambda user, taken: taken if households[user] else taken[:0])
    popular = peers.popularity(learned)(asked.users[:1])[0]
    oracle = np.bincount(asked.relevant.items, minlength=split.items).astype(float)
    nothing = {
        OURS: _alike(_counted(learned), len(asked.users)),
        POPULARITY: _alike(popular, len(asked.users)),
        ORACLE: _alike(oracle, len(asked.users)),
    }
    last = _last_baskets(split.asked)
    some = _about(split, lambda user, taken: taken if households[user] and last.of(user)[0].size else taken[:0])
    scores: Scores = ours.scores(export, night, data.catalogue, replace(learned, asked=last))
    one = {OURS: best(_few(scores, some.users), TOP), POPULARITY: _alike(popular, len(some.users))}
    return {
        USERS: {name: _recall(each, asked.relevant) for name, each in nothing.items()},
        ONE: {name: _recall(each, some.relevant) for name, each in one.items()},
    }


def _about(split: Split, wanted: Callable[[int, np.ndarray], np.ndarray]) -> Split:
    """The same question about what ``wanted(user, taken)`` leaves of the items taken, to whom it leaves some."""
    bounds = split.relevant.offsets
    taken = [
        wanted(user, split.relevant.items[low:high])
        for user, low, high in zip(split.users, bounds[:-1], bounds[1:], strict=True)
    ]
    kept = np.array([len(each) > 0 for each in taken])
    return replace(split, users=split.users[kept], relevant=Relevant.of([each for each in taken if len(each)]))


def _last_baskets(seen: Histories) -> Histories:
    last = np.full(len(seen.offsets) - 1, -1)
    ends = seen.offsets[1:] - 1
    some = np.diff(seen.offsets) > 0
    last[some] = seen.baskets[ends[some]]
    return only(seen, seen.baskets == last[seen.users])


def _of_categories(late: Histories, products: np.ndarray, data: journey.Journey) -> np.ndarray:
    """float64[items]: how often the known products of an item's category were bought of late."""
    names = ["/".join(path) for path in data.catalogue.paths]
    _, group = np.unique(names, return_inverse=True)
    known = ~products[late.items]
    return np.bincount(group[late.items[known]], minlength=group.max() + 1)[group].astype(float)


def _counted(learned: Split) -> np.ndarray:
    """float64[items]: users with the item in 28 days, what lists.candidates gives whom the model doesn't know."""
    late = learned.asked.between(learned.now - 28, learned.now)
    pairs = np.unique(np.stack([late.users, late.items]), axis=1)
    return np.bincount(pairs[1], minlength=learned.items).astype(float)


def _vectors(export: Path, night: Night, data: journey.Journey) -> np.ndarray:
    place = {item: number for number, item in enumerate(night.item_ids)}
    return Exported(export).serve(night).items.vectors.numpy()[[place[item] for item in data.catalogue.ids]]


def _ids(data: journey.Journey, items: np.ndarray) -> pa.Array:
    return pa.array([data.catalogue.ids[item] for item in items])


def _few(scores: Scores, users: np.ndarray, at_once: int = 256) -> np.ndarray:
    return np.concatenate([scores(users[low : low + at_once]) for low in range(0, len(users), at_once)])


def _alike(values: np.ndarray, users: int) -> np.ndarray:
    """The same list for everybody."""
    return np.tile(best(values[None].astype(np.float32), TOP), (users, 1))


def _recall(found: np.ndarray, relevant: Relevant) -> float:
    return float(accuracy(found, relevant, (TOP,))[f"recall_at_{TOP}"].mean())


def goals(found: dict[str, dict[str, float]]) -> dict[str, Goal]:
    return {
        f"recall@10 of {name}, times popularity's": Goal(
            TWICE, found[name][OURS] / max(found[name][POPULARITY], 1e-9), least=True
        )
        for name in (ITEMS, USERS)
    }


def table(found: dict[str, dict[str, float]]) -> list[list[str]]:
    return [
        [f"cold start, {name}", f"recall@{TOP}", f"{found[name][OURS]:.4f}", other, f"{value:.4f}"]
        for name in (ITEMS, UNSEEN, USERS, ONE)
        for other, value in found[name].items()
        if other != OURS
    ]
