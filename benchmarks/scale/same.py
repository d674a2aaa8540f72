"""Whether the contenders' rows are the same; they must be, or their seconds say nothing."""

import math
from collections.abc import Iterator
from pathlib import Path

import polars as pl

PLAIN = ("events", "baskets", "first_day", "last_day", "recency_days", "half_life_days")
CLOSE = ("frequency", "value", "price_level", "discount_share", "variety", "cadence_days")
SHARES = ("categories", "brands", "intent")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
USERS = 20_000  # compared one by one; of more, the first by their pseudonym


def check(ours: Path, day: object, peers: dict[str, Path]) -> None:
    """Compares ours with each peer's ``log.parquet`` and ``users.parquet``.

    Raises:
        ValueError: names the first difference.
    """
    log = _digest(pl.scan_parquet(ours / "log/**/*.parquet", hive_partitioning=True))
    users = _users(ours / f"users-{day}/*.parquet")
    for name, folder in peers.items():
        _alike(name, "behaviour.log", log, _digest(pl.scan_parquet(folder / "log.parquet")))
        theirs = _users(folder / "users.parquet")
        if users.keys() != theirs.keys():
            raise ValueError(f"{name}: other users than ours, {len(theirs)} and {len(users)}")
        for user, row in users.items():
            for difference in differences(row, theirs[user]):
                raise ValueError(f"{name}: user {user}: {difference}")


def _digest(log: pl.LazyFrame) -> dict[str, object]:
    """Rows, and of each column the sum of its values' hashes: the same for the same rows in any order."""
    dates = [pl.col(name).cast(pl.Date).cast(pl.Int64) for name in ("day", "arrived")]
    cents = [(pl.col(name) * 10_000).round().cast(pl.Int64) for name in ("amount", "unit_price")]
    others = ("event_id", "user_id", "item_id", "session_id", "basket_id")
    row = pl.struct(*dates, *cents, *(pl.col(name).cast(pl.String) for name in others), pl.col("ts").dt.epoch("us"))
    sums = log.select(pl.len().alias("rows"), (row.hash(1) % 2**32).sum().alias("sum"))
    return sums.collect(engine="streaming").row(0, named=True)


def _alike(name: str, what: str, ours: dict, theirs: dict) -> None:
    if ours != theirs:
        raise ValueError(f"{name}: {what} differs: {theirs}, ours {ours}")


def _users(files: Path) -> dict[str, dict]:
    rows = pl.scan_parquet(files).sort("user_id").head(USERS).collect()
    return {row.pop("user_id"): row for row in rows.iter_rows(named=True)}


def differences(ours: dict, theirs: dict) -> Iterator[str]:
    """What two rows of a user don't agree on."""
    for name in PLAIN:
        if ours[name] != theirs[name]:
            yield f"{name} is {theirs[name]}, ours {ours[name]}"
    for name in CLOSE:
        if not _close(ours[name], theirs[name]):
            yield f"{name} is {theirs[name]}, ours {ours[name]}"
    for name in SHARES:
        mine, other = _shares(ours[name]), _shares(theirs[name])
        least = min(mine.values(), default=0.0) + 1e-6  # who stands last among equals is a matter of rounding
        sizes = [sorted(each.values()) for each in (mine, other)]
        if len(mine) != len(other) or not all(map(_close, *sizes)):
            yield f"{name} is {other}, ours {mine}"
        elif {key for key, value in mine.items() if value > least} - other.keys():
            yield f"{name} is of {sorted(other)}, ours {sorted(mine)}"
    weekdays = _shares(ours["weekdays"])
    for number, name in enumerate(WEEKDAYS):
        if not _close(weekdays.get(name, 0.0), theirs[f"day_{number}"]):
            yield f"{name} is {theirs[f'day_{number}']}, ours {weekdays.get(name, 0.0)}"


def _shares(told: object) -> dict[str, float]:
    """A map, however Parquet has it."""
    if told is None:
        return {}
    entries = told.items() if isinstance(told, dict) else (tuple(entry.values()) for entry in told)
    return dict(entries)


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6)
