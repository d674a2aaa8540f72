from decimal import Decimal

import pyarrow as pa
import pytest

from jobs.profiles import elasticity

COUNTS = {name: pa.int64() for name in ("told", "discounted", "priced")}
LOGS = {name: pa.decimal128(18, 9) for name in ("logs", "squares")}
PRICES = pa.list_(pa.struct({"item_id": pa.string(), **COUNTS, **LOGS}))


def batch(*users):
    rows = [
        [
            {"item_id": item, "told": n, "discounted": 1, "priced": n, "logs": Decimal(n), "squares": Decimal("0.5")}
            for item, n in user.items()
        ]
        for user in users
    ]
    return pa.RecordBatch.from_arrays([pa.array(rows, PRICES)], ["prices"])


@pytest.mark.parametrize("block", [1, 3, 1_000])
def test_each_item_is_added_up_once_however_many_batches_tell_of_it(monkeypatch, block):
    monkeypatch.setattr(elasticity, "BLOCK", block)
    batches = [batch({"apple": 1, "bread": 2}), batch({"apple": 3}, {}), batch({"bread": 4}, {"cheese": 5})]
    made = pa.Table.from_batches(elasticity._by_item(iter(batches))).sort_by("item_id").to_pylist()
    told = [(row["item_id"], row["told"], row["discounted"], row["logs"], row["squares"]) for row in made]
    whole, half = 10**9, 5 * 10**8
    assert told == [
        ("apple", 4, 2, 4 * whole, 2 * half),
        ("bread", 6, 2, 6 * whole, 2 * half),
        ("cheese", 5, 1, 5 * whole, half),
    ]


def test_nobody_bought_anything():
    assert list(elasticity._by_item(iter([]))) == []
