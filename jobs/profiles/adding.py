"""A night's lines added to what was known of each user: what profiles.totals is, in NumPy, many users at once."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa

from jobs.profiles.decay import NEVER, settle
from jobs.profiles.grouped import Groups, coded, dated, decimals, known, listed, numbers, summed, unscaled, whole
from jobs.profiles.lines import INTEREST, RETURN, Held, Lines
from schemas.profiles import HALF_LIVES, LATELY

BLOCK = 4_000_000  # values in memory at a time, or those of one user
LOGS = 1e9  # what logarithms are counted in: integers add up to the same in any order
NO_DAY = 1 << 40


def adder(night: int, schema: pa.Schema) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for ``mapInArrow``: rows as :func:`added` takes them to one row a user.

    Args:
        night: days since 1970-01-01.
        schema: of what it makes: ``user_id`` and columns of profiles.totals.
    """

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in whole(batches, "user_id", BLOCK):
            made = added(table, night, schema)
            yield pa.RecordBatch.from_arrays([made[name] for name in schema.names], schema=schema)

    return add


def added(table: pa.Table, night: int, schema: pa.Schema) -> dict[str, pa.Array]:
    """Columns of profiles.totals by name, one row a user in the order of their first rows.

    A line settles when it is a week old, or on the night it arrived if it was older by then; lines settle by (settled,
    day), so that the decayed weights, which are doubles, are added up in one order.

    Args:
        table: rows of a user follow each other. A line has ``kind``, ``item_id``, ``day``, ``arrived``, ``ts``,
            ``basket``, ``paid``, ``off`` (the discount) and ``price``; a row of what was known before has no kind, and
            columns of profiles.totals, which the table lacks where nothing was known.
        night: days since 1970-01-01; what settles after it is ``recent``.
        schema: as of :func:`adder`.
    """
    types = {field.name: field.type for field in schema}
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    columns |= {name: pa.nulls(len(table), kind) for name, kind in types.items() if name not in columns}
    users = columns["user_id"].dictionary_encode()
    owners = users.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    fresh = known(columns["kind"])
    held = Held({name: each.filter(pa.array(~fresh)) for name, each in columns.items()}, owners[~fresh])
    lines = Lines({name: each.filter(pa.array(fresh)) for name, each in columns.items()}, owners[fresh])
    names, (lines.item, *others) = coded(lines.item_id, *(held.fields[name]["item_id"] for name in held.of_items))
    held.item = dict(zip(held.of_items, others, strict=True))
    made = {"user_id": users.dictionary, **_counts(lines, held, len(users.dictionary), types)}
    daily = _daily(lines, held)
    for name, (owner, fields) in {
        "baskets": _baskets(lines, held),
        "visits": _visits(lines, held),
        "recent": _recent({key: each[daily["settles"] > night] for key, each in daily.items()}),
        "items": _items({key: each[daily["settles"] <= night] for key, each in daily.items()}, held),
        "prices": _prices(lines, held),
    }.items():
        kinds = {field.name: field.type for field in types[name].value_type}
        told = {key: _typed(each, kinds[key], names) for key, each in fields.items()}
        made[name] = listed(owner, len(users.dictionary), told, types[name])
    return made


def _counts(lines: Lines, held: Held, users: int, types: dict[str, pa.DataType]) -> dict[str, pa.Array]:
    owner = np.concatenate([lines.owner, held.owner])

    def both(fresh: np.ndarray, before: np.ndarray) -> np.ndarray:
        return summed(owner, np.concatenate([fresh, before]), users)

    def told(name: str) -> np.ndarray:
        return known(held.columns[name])

    before = {name: numbers(held.columns[name]) for name in ("events", "purchases", "first_day", "last_day")}
    dates, seen = {}, both(np.ones_like(lines.owner), told("first_day")) > 0
    for name, extreme in (("first_day", np.minimum), ("last_day", np.maximum)):
        dates[name] = np.full(users, NO_DAY if name == "first_day" else -NO_DAY)
        extreme.at(dates[name], lines.owner, lines.day)
        extreme.at(dates[name], held.owner[told(name)], before[name][told(name)])
    money = {"discount": lines.off, "shelf": lines.off + lines.paid}
    priced = both(lines.told, told("shelf")) > 0
    return {
        "events": pa.array(both(np.ones_like(lines.owner), before["events"])),
        "purchases": pa.array(both(lines.bought, before["purchases"])),
        **{name: dated(np.where(seen, each, 0), seen) for name, each in dates.items()},
        **{
            name: decimals(both(np.where(lines.told, each, 0), unscaled(held.columns[name])), types[name], priced)
            for name, each in money.items()
        },
    }


def _baskets(lines: Lines, held: Held) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    bought = lines.bought
    keys = _both((lines.owner[bought], lines.basket[bought]), (held.owners["baskets"], held.of("baskets", "basket")))
    began, last = _both(
        (lines.ts[bought], lines.day[bought]), (held.of("baskets", "began"), held.of("baskets", "last"))
    )
    once = Groups(*keys)
    owner, basket = once.keys
    began, last = once.least(began), once.most(last)
    order = np.lexsort((last, basket, began, owner))
    return owner[order], {"began": began[order], "basket": basket[order], "last": last[order]}


def _visits(lines: Lines, held: Held) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    there = lines.bought | (lines.kind == RETURN)
    money = np.where(lines.bought, lines.paid, -lines.paid)[there]
    owner, day, count, paid, is_paid = _both(
        (lines.owner[there], lines.day[there], lines.bought[there], money, lines.is_paid[there]),
        (
            held.owners["visits"],
            held.of("visits", "day"),
            held.of("visits", "lines"),
            held.of("visits", "money"),
            known(held.fields["visits"]["money"]),
        ),
    )
    daily = Groups(owner, day)
    paid = np.ma.array(daily.sum(paid), mask=daily.most(is_paid) == 0)
    return daily.keys[0], {"day": daily.keys[1], "lines": daily.sum(count), "money": paid}


def _daily(lines: Lines, held: Held) -> dict[str, np.ndarray]:
    """Of each user, item and day that hadn't settled: when it settles, purchase lines, other signs of interest."""
    there = (lines.item >= 0) & (lines.bought | (lines.kind == INTEREST))
    settles = np.maximum(lines.day + LATELY, lines.arrived)
    day = held.of("recent", "day")
    names = ("owner", "item", "day", "settles", "lines", "looks")
    fresh = (lines.owner, lines.item, lines.day, settles, lines.bought, ~lines.bought)
    waiting = (held.owners["recent"], held.item["recent"], day, day + LATELY)
    waiting += tuple(held.of("recent", name) for name in ("lines", "looks"))
    return dict(zip(names, _both([each[there] for each in fresh], waiting), strict=True))


def _recent(daily: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    once = Groups(daily["owner"], daily["item"], daily["day"])
    owner, item, day = once.keys
    return owner, {"item_id": item, "day": day, **{name: once.sum(daily[name]) for name in ("lines", "looks")}}


def _items(daily: dict[str, np.ndarray], held: Held) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Each item's lines that have settled, and what they weigh: those of before, and then those of now one by one."""
    some = daily["lines"] > 0
    come = Groups(*(daily[name][some] for name in ("owner", "item", "settles", "day")))
    owner, item, settles, day = come.keys
    count = come.sum(daily["lines"][some])
    pairs = Groups(*_both((owner, item), (held.owners["items"], held.item["items"])))
    fresh, before = np.split(pairs.places, [len(owner)])
    total, settled = np.zeros(len(pairs), np.int64), np.full(len(pairs), NEVER)
    weights = np.zeros((len(HALF_LIVES), len(pairs)))
    if len(before):
        total[before], settled[before] = held.of("items", "lines"), held.of("items", "settled")
        weights[:, before] = numbers(held.fields["items"]["weights"].flatten()).reshape(-1, len(HALF_LIVES)).T
    np.add.at(total, fresh, count)
    settle(weights, settled, fresh, settles, day, count)
    return pairs.keys[0], {"item_id": pairs.keys[1], "lines": total, "settled": settled, "weights": weights.T}


def _prices(lines: Lines, held: Held) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """What each item was bought for: numbers of lines, and sums of logarithms, which tell its mean and variance."""
    there = lines.bought & (lines.item >= 0) & (lines.told | (lines.price > 0))
    price = lines.price[there]
    log = np.log(np.where(price > 0, price, 1))
    names = ("told", "discounted", "priced", "logs", "squares")
    fresh = (
        lines.told[there],
        (lines.told & (lines.off > 0))[there],
        price > 0,
        *(np.rint(each * LOGS).astype(np.int64) for each in (log, log * log)),
    )
    owner, item, *values = _both(
        (lines.owner[there], lines.item[there], *fresh),
        (held.owners["prices"], held.item["prices"], *(held.of("prices", name) for name in names)),
    )
    once = Groups(owner, item)
    sums = {name: once.sum(each) for name, each in zip(names, values, strict=True)}
    return once.keys[0], {"item_id": once.keys[1], **sums}


def _both(fresh: Iterable[np.ndarray], held: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Columns of what is new and of what was known, the one after the other."""
    return [np.concatenate([a.astype(np.int64) if a.dtype == bool else a, b]) for a, b in zip(fresh, held, strict=True)]


def _typed(values: np.ndarray, kind: pa.DataType, names: pa.Array) -> pa.Array:
    """A field of a list: of an item its name, of money and logarithms decimals."""
    if pa.types.is_string(kind):
        return names.take(pa.array(values))
    if pa.types.is_decimal(kind):
        there = None if not np.ma.isMaskedArray(values) else ~np.ma.getmaskarray(values)
        return decimals(np.ma.getdata(values), kind, there)
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(
            pa.array(np.arange(len(values) + 1) * values.shape[1], pa.int32()), pa.array(values.ravel()), type=kind
        )
    if pa.types.is_date(kind):
        return dated(values)
    return pa.array(values.astype(np.int64)).view(kind) if pa.types.is_timestamp(kind) else pa.array(values, kind)
