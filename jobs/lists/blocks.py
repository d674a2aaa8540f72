"""Between Spark's rows and NumPy's matrices: item blocks that tasks share, and Arrow columns."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Block:
    """Items in the order of their ids, with the columns that were asked for.

    A function given to ``mapInArrow`` may close over a block: Spark broadcasts a function of more than 1 MB by itself,
    so each executor fetches it once.
    """

    ids: pa.Array
    columns: pa.Table

    @classmethod
    def pull(cls, frame: DataFrame) -> "Block":
        """Collects a frame with one row an ``item_id`` to the driver: 50 MB for 100,000 items of 128 dimensions."""
        table = frame.toArrow().sort_by("item_id").combine_chunks()
        return cls(table["item_id"].combine_chunks(), table)

    def only(self, kept: np.ndarray) -> "Block":
        """The items where ``kept``, bool [items], is true."""
        columns = self.columns.filter(pa.array(kept)).combine_chunks()
        return Block(columns["item_id"].combine_chunks(), columns)

    def positions(self, item_ids: pa.Array) -> np.ndarray:
        """int64: where each id stands in the block, -1 for an id it doesn't hold."""
        return pc.index_in(item_ids, value_set=self.ids).fill_null(-1).to_numpy().astype(np.int64)

    def matrix(self, name: str) -> np.ndarray:
        """The array column ``name`` as float32 [items, d]."""
        return matrix(self.columns[name].combine_chunks())


def matrix(column: pa.ListArray) -> np.ndarray:
    """A column of equally long arrays as float32 [n, d].

    Raises:
        ValueError: if the arrays differ in length.
    """
    widths = np.unique(pc.list_value_length(column).to_numpy())
    if len(widths) > 1:
        raise ValueError(f"vectors of {widths.tolist()} dimensions stand together; those of one model have one length")
    return column.flatten().to_numpy().reshape(len(column), widths[0] if len(widths) else 0)


def lists(values: np.ndarray) -> pa.ListArray:
    """float32 [n, d] as a column of arrays."""
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(offsets, pa.array(values.ravel(), pa.float32()))


def parts(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The batches cut to at most ``rows`` rows, so that the matrices made of them stay small."""
    for batch in batches:
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)


def spread(frame: DataFrame, *columns: str) -> DataFrame:
    """The frame over as many tasks as a shuffle has: a small table would be one task and leave the other cores idle."""
    return frame.repartition(int(frame.sparkSession.conf.get("spark.sql.shuffle.partitions")), *columns)
