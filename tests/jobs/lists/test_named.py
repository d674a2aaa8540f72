"""From names to numbers."""

import numpy as np
import pyarrow as pa
import pytest

from jobs.lists.blocks import Block
from jobs.lists.named import Named


@pytest.fixture(scope="module")
def named():
    table = pa.table(
        {
            "item_id": ["a", "b", "c"],
            "brand": ["acme", None, "acme"],
            "category": ["tea", "unknown", "drinks"],
            "category_path": pa.array([["drinks", "tea", "green"], [], ["drinks"]], pa.list_(pa.string())),
            "price": [1.5, None, 2.0],
            "available": [True, None, False],
            "days_of_supply": pa.array([4, None, 0], pa.int32()),
        }
    )
    return Named.of(Block(table["item_id"].combine_chunks(), table))


@pytest.mark.parametrize(
    ("kind", "name", "items"),
    [
        ("item", "b", [1]),
        ("item", "z", []),
        ("brand", "acme", [0, 2]),
        ("brand", "Acme", []),  # exactly as written
        ("category", "drinks", [0, 2]),
        ("category", "green", [0]),
        ("category", "unknown", []),  # what stands for none is no name
        ("", None, [0, 1, 2]),
    ],
)
def test_what_a_name_means(named, kind, name, items):
    found = named.goods.named(kind, named.number(kind, name))
    assert np.flatnonzero(found).tolist() == items


def test_lists_are_grouped_by_the_catalogues_category_and_only_a_yes_is_stock(named):
    tea, drinks = named.number("category", "tea"), named.number("category", "drinks")
    assert named.goods.categories.tolist() == [tea, -1, drinks]
    assert named.goods.stocked.tolist() == [True, False, False]
    assert named.goods.supply.tolist() == [4.0, np.inf, 0.0]
    np.testing.assert_array_equal(named.goods.prices, [1.5, np.nan, 2.0])
