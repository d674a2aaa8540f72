"""Sums over rows of equal keys, and Spark's nested columns as flat arrays: what profiles are added up with in NumPy."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from math import prod

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST_DIGITS = 18  # that any 64 bits hold
PACKED = 1 << 62  # keys whose ranges multiply to less are sorted as one number


class Groups:
    """Rows of equal keys, in the order of the keys.

    Args:
        keys: integers [n] each; the first decides, then the second, and so on.

    Attributes:
        order: int64 [n], which row comes at each place.
        starts: int64 [g], the place of each group's first row.
        keys: of each group, its keys [g].
    """

    def __init__(self, *keys: np.ndarray):
        self.order = _order(keys)
        ordered = [key[self.order] for key in keys]
        new = np.zeros(len(self.order), bool)
        new[:1] = True
        for key in ordered:
            new[1:] |= key[1:] != key[:-1]
        self.starts = np.flatnonzero(new)
        self.keys = tuple(key[self.starts] for key in ordered)

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def sizes(self) -> np.ndarray:
        """int64 [g]: rows of each group."""
        return np.diff(self.starts, append=len(self.order))

    @property
    def places(self) -> np.ndarray:
        """int64 [n]: of each row its group."""
        found = np.empty(len(self.order), np.int64)
        found[self.order] = np.repeat(np.arange(len(self)), self.sizes)
        return found

    def sum(self, values: np.ndarray) -> np.ndarray:
        """[g] of values [n], integers, which add up to the same in any order."""
        return self._reduced(np.add, values)

    def least(self, values: np.ndarray) -> np.ndarray:
        """[g] of values [n]."""
        return self._reduced(np.minimum, values)

    def most(self, values: np.ndarray) -> np.ndarray:
        """[g] of values [n]."""
        return self._reduced(np.maximum, values)

    def _reduced(self, how: np.ufunc, values: np.ndarray) -> np.ndarray:
        return how.reduceat(values[self.order], self.starts) if len(self) else values[:0]


def _order(keys: Sequence[np.ndarray]) -> np.ndarray:
    if not len(keys[0]):
        return np.zeros(0, np.int64)
    lows = [int(key.min()) for key in keys]
    spans = [int(key.max()) - low + 1 for key, low in zip(keys, lows, strict=True)]
    if prod(spans) >= PACKED:
        return np.lexsort(keys[::-1])
    packed = np.zeros(len(keys[0]), np.int64)
    for key, low, span in zip(keys, lows, spans, strict=True):
        packed *= span
        packed += key - low
    return np.argsort(packed, kind="stable")


def summed(owner: np.ndarray, values: np.ndarray, owners: int) -> np.ndarray:
    """int64 [owners]: sums of integers or booleans [n] by who owns them, int64 [n]."""
    total = np.zeros(owners, np.int64)
    np.add.at(total, owner, values)
    return total


def ratio(part: np.ndarray, whole: np.ndarray) -> pa.Array:
    """Doubles; null where the whole is 0."""
    none = whole == 0
    return pa.array(np.divide(part, whole, out=np.zeros(len(whole)), where=~none), mask=none)


def opened(lists: pa.ListArray) -> tuple[np.ndarray, dict[str, pa.Array]]:
    """The structs in ``lists``: int64 [e], in which row each stands, and their fields by name."""
    structs = lists.flatten()
    fields = dict(zip((field.name for field in structs.type), structs.flatten(), strict=True))
    return pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64), fields


def listed(owners: np.ndarray, rows: int, fields: Mapping[str, pa.Array], kind: pa.ListType) -> pa.ListArray:
    """Back from :func:`opened`: a list of structs for each of so many rows.

    Args:
        owners: int64 [e], rising.
        fields: arrays [e] of the types that ``kind`` names.
    """
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=rows))])
    told = [fields[field.name] for field in kind.value_type]
    structs = pa.StructArray.from_arrays(told, fields=list(kind.value_type))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), structs, type=kind)


def numbers(values: pa.Array, missing: float = 0) -> np.ndarray:
    """Integers, dates (days since 1970-01-01), times (microseconds) or doubles [n]; ``missing`` where null."""
    whole = {pa.date32(): pa.int32(), pa.bool_(): pa.int8()}.get(values.type, values.type)
    if pa.types.is_timestamp(whole):
        whole = pa.int64()
    plain = values.cast(whole) if whole != values.type else values
    return plain.fill_null(missing).to_numpy(zero_copy_only=False)


def known(values: pa.Array) -> np.ndarray:
    """bool [n]: false where null."""
    return values.is_valid().to_numpy(zero_copy_only=False)


def unscaled(values: pa.Array) -> np.ndarray:
    """int64 [n] of decimals: 1.25 of decimal(28,4) is 12500; 0 where null.

    Raises:
        OverflowError: if one is too large for that.
    """
    if not len(values):
        return np.zeros(0, np.int64)
    end = values.offset + len(values)
    words = np.frombuffer(values.buffers()[1], np.int64, 2 * end).reshape(-1, 2)[values.offset :]
    there = known(values)
    low, high = np.where(there, words.T, 0)
    if (high != low >> 63).any():
        raise OverflowError(f"{values[int(np.argmax(high != low >> 63))]} is too large to be added up")
    return low


def decimals(values: np.ndarray, kind: pa.Decimal128Type, there: np.ndarray | None = None) -> pa.Array:
    """Back from :func:`unscaled`; null where ``there``, bool [n], is false.

    Raises:
        OverflowError: if one has more digits than ``kind``.
    """
    if kind.precision <= MOST_DIGITS:
        large = np.abs(values if there is None else np.where(there, values, 0)) >= 10**kind.precision
        if large.any():
            told = Decimal(int(values[int(np.argmax(large))])).scaleb(-kind.scale)
            raise OverflowError(f"{told} is too large for {kind.precision - kind.scale} digits before the point")
    words = np.stack([values, values >> 63], axis=1).astype(np.int64)
    valid = None if there is None else pa.array(there).buffers()[1]
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(np.ascontiguousarray(words))])


def dated(days: np.ndarray, there: np.ndarray | None = None) -> pa.Array:
    """Dates of days since 1970-01-01; null where ``there``, bool [n], is false."""
    return pa.array(days.astype(np.int32), mask=None if there is None else ~there).view(pa.date32())


def coded(*columns: pa.Array) -> tuple[pa.Array, list[np.ndarray]]:
    """The different texts of all columns, sorted, and of each column its places among them, int64; -1 where null."""
    every = pa.chunked_array(columns, pa.string()).combine_chunks().dictionary_encode()
    order = pc.array_sort_indices(every.dictionary)
    rank = np.empty(len(order), np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    places = every.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    places = np.append(rank, -1)[places]
    return every.dictionary.take(order), np.split(places, np.cumsum([len(column) for column in columns])[:-1])


def whole(batches: Iterable[pa.RecordBatch], name: str, block: int) -> Iterator[pa.Table]:
    """Tables of about ``block`` values and more, whose rows of one ``name`` are all in one of them.

    Args:
        batches: record batches whose rows of one ``name`` follow each other.
    """
    waiting, size = [], 0
    for batch in batches:
        waiting.append(batch)
        size += batch.nbytes // 8
        if size < block:
            continue
        table = pa.Table.from_batches(waiting)
        first = pc.index(table[name], table[name][-1]).as_py()
        if first:
            yield table.slice(0, first)
            waiting = table.slice(first).to_batches()
            size = sum(each.nbytes for each in waiting) // 8
    if waiting:
        yield pa.Table.from_batches(waiting)
