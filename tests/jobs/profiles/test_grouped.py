"""Rows of equal keys, and Arrow's nested columns as flat arrays."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from jobs.profiles.grouped import Groups, coded, decimals, known, listed, opened, unscaled, whole

MONEY = pa.decimal128(28, 4)


@pytest.mark.parametrize("far", [0, 1 << 61])  # keys that fit into one number together, and keys that don't
def test_groups_come_in_the_order_of_their_keys(far):
    first, second = np.array([2, 1, 2, 1, 2]), np.array([5, 7 + far, -3, 7 + far, 5])
    groups = Groups(first, second)
    assert [each.tolist() for each in groups.keys] == [[1, 2, 2], [7 + far, -3, 5]]
    values = np.array([1, 2, 4, 8, 16])
    assert groups.sum(values).tolist() == [10, 4, 17]
    assert (groups.least(values).tolist(), groups.most(values).tolist()) == ([2, 4, 1], [8, 4, 16])
    assert (groups.sizes.tolist(), groups.places.tolist()) == ([2, 1, 2], [2, 0, 1, 0, 2])
    nothing = Groups(first[:0], second[:0])
    assert (len(nothing), nothing.sum(values[:0]).tolist()) == (0, [])


def test_lists_are_opened_and_closed_again():
    kind = pa.list_(pa.struct([("name", pa.string()), ("money", MONEY)]))
    rows = [[{"name": "b", "money": Decimal("-1.2500")}], [], None, [{"name": "a", "money": None}] * 2]
    lists = pa.array([[], *rows], kind)[1:]  # a slice of other rows
    owners, fields = opened(lists)
    assert (owners.tolist(), fields["name"].to_pylist()) == ([0, 3, 3], ["b", "a", "a"])
    cents, there = unscaled(fields["money"]), known(fields["money"])
    assert (cents.tolist(), there.tolist()) == ([-12500, 0, 0], [True, False, False])
    again = listed(owners, 4, {"name": fields["name"], "money": decimals(cents, MONEY, there)}, kind)
    assert again.to_pylist() == [rows[0], [], [], rows[3]]


def test_decimals_of_over_64_bits_are_refused():
    with pytest.raises(OverflowError, match=r"922337203685477\.5808 is too large"):
        unscaled(pa.array([Decimal("1.0000"), Decimal("922337203685477.5808")], MONEY))


def test_decimals_of_more_digits_than_their_column_are_refused():
    kind = pa.decimal128(18, 4)
    most, many = 10**18 - 1, 10**18
    assert decimals(np.array([most, -most]), kind).to_pylist() == [Decimal(most) / 10**4, -Decimal(most) / 10**4]
    assert decimals(np.array([1, many]), kind, np.array([True, False])).to_pylist() == [Decimal("0.0001"), None]
    with pytest.raises(OverflowError, match=r"^-100000000000000\.0000 is too large for 14 digits"):
        decimals(np.array([1, -many]), kind)


def test_texts_of_several_columns_get_numbers_in_their_order():
    names, (one, other) = coded(pa.array(["pear", None, "apple"]), pa.array(["zoë", "pear"]))
    assert names.to_pylist() == ["apple", "pear", "zoë"]
    assert (one.tolist(), other.tolist()) == ([1, -1, 0], [2, 1])


def test_whoever_goes_on_in_the_next_batch_waits_for_it():
    users = ["ann", "ann", "bob", "bob", "bob", "bob", "cy", "di"]
    batches = pa.table({"user_id": users}).to_batches(max_chunksize=2)
    tables = [table["user_id"].to_pylist() for table in whole(batches, "user_id", block=1)]
    assert tables == [["ann", "ann"], ["bob"] * 4 + ["cy"], ["di"]]
