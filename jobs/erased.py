"""Who was erased, and what keeps them out: the runner rejects their rows, in every table and night, from then on.

A tombstone is a hash of a pseudonym, so that neither the id nor the pseudonym stands anywhere in the lake.
"""

import hashlib
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

import schemas
from jobs.behaviour.pseudonym import PADS, pseudonym, pseudonym_key, with_pads
from jobs.lake import path
from schemas import Table
from schemas.contract import SOURCE_ID

ERASED = schemas.table("raw.erased")
RULE = "erased"
REASON = "the person was erased: their rows stay out"
NOTHING = "{}"  # the source row of such a reject
# a line that can't be split into columns may name a person all the same: as a word, or as what stands between quotes
WORDS, QUOTED = r"[^\p{L}\p{N}_.@+-]+", r'[",;|\t\\{}\[\]]+'


class ErasedMeanwhileError(OSError):
    """Somebody was erased while a table was made; what was made may hold them, so it is not published."""


def mark_of(pseudonym: str) -> str:
    """What ``raw.erased`` keeps of a person: SHA-256 of the pseudonym in hex."""
    return hashlib.sha256(pseudonym.encode()).hexdigest()


@dataclass(frozen=True)
class Erased:
    """The tombstones of a lake as they were at one moment."""

    lake: str
    marks: frozenset[str]

    @classmethod
    def read(cls, lake: str) -> "Erased":
        try:
            marks = DeltaTable(path(lake, ERASED)).to_pyarrow_table(columns=["mark"])["mark"].to_pylist()
        except TableNotFoundError:
            marks = []
        return cls(lake, frozenset(marks))

    def check(self, table: Table) -> None:
        """Refuses to publish rows of ``table`` that were made before somebody was erased.

        Raises:
            ErasedMeanwhileError: if there are other tombstones by now.
        """
        if Erased.read(self.lake).marks != self.marks:
            raise ErasedMeanwhileError(
                f"{table.name}: somebody was erased from {self.lake} while the night was made; nothing of this table's "
                "night was published: run it again"
            )

    def rejecting(self, rows: DataFrame, table: Table) -> DataFrame:
        """``rows`` of ``table``, with those of erased people as rejects that say nothing of them."""
        if not self.marks or table.person is None:
            return rows
        told = {"_rule": RULE, "_reason": REASON, "_source": NOTHING}
        given = {name: F.lit(None).cast("string") for name in told if name not in rows.columns}
        rows, gone = self._gone(rows.withColumns(given), table.person.name, table.person.person == SOURCE_ID)
        marked = rows.withColumn("_gone", gone).drop(*PADS)
        replaced = {name: F.when(F.col("_gone"), text).otherwise(F.col(name)) for name, text in told.items()}
        return marked.withColumns(replaced).drop("_gone")

    def _gone(self, rows: DataFrame, person: str, by_source_id: bool) -> tuple[DataFrame, Column]:
        """The rows, and whether each is about an erased person."""
        who, source = F.col(person), F.col("_source")
        if not by_source_id:
            return rows, F.coalesce(self._marked(who), F.lit(False))
        unread = F.col("_rule").isNotNull() & who.isNull()
        words = F.when(unread, F.concat(F.split(source, WORDS), F.split(source, QUOTED)))
        named = F.exists(words, lambda word: self._marked(pseudonym(word)))
        return with_pads(rows, pseudonym_key()), F.coalesce(self._marked(pseudonym(who)), named, F.lit(False))

    def _marked(self, pseudonyms: Column) -> Column:
        return F.sha2(pseudonyms, 256).isin(*sorted(self.marks))


def tombstones(marks: list[str], day: date) -> pa.Table:
    """Rows of ``raw.erased``."""
    return pa.table({"day": pa.array([day] * len(marks), pa.date32()), "mark": pa.array(marks, pa.string())})
