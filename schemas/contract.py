"""What a table promises: its columns, its key, and the rules its gate holds it to.

Plain data, no session and no IO, so that Spark jobs, torch training and Airflow DAGs can all import it.
"""

from dataclasses import dataclass
from typing import Literal

ROOMS = ("raw", "behaviour", "catalogue", "profiles", "lists", "insight")
# what a value says of people by itself, from least to most
SENSITIVITIES = {
    "none": "nothing of a person",
    "pseudonymous": "stands for one person, or is so particular that it may single one out",
    "personal": "names a person, or is in their own words",
    "sensitive": "what the shop knows of a person beside what they did, such as age and income",
}
# how a column names a person: by the shop's own id, by the pseudonym, or perhaps somewhere within a text
SOURCE_ID, PSEUDONYM, QUOTED = "source_id", "pseudonym", "quoted"
FEWEST = 10  # people that a group which is told of holds, unless NIGHT_K says otherwise


@dataclass(frozen=True)
class Column:
    """One column: its Spark SQL type, its meaning, and the rule each of its values keeps.

    Bounds are inclusive. ``above`` is an exclusive lower bound. A null breaks only ``required``. ``person`` says how
    the column names a person: by it ``python -m jobs erase`` finds whom to remove, and the runner whom to keep out.
    ``sensitivity`` is one of :data:`SENSITIVITIES`.
    """

    name: str
    type: str
    doc: str
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    one_of: tuple[str, ...] | None = None
    max_length: int | None = None
    person: Literal["source_id", "pseudonym", "quoted"] | None = None
    sensitivity: Literal["none", "pseudonymous", "personal", "sensitive"] = "none"


@dataclass(frozen=True)
class Table:
    """One Delta table, named ``room.table``; its job is ``jobs/room/table.py``.

    Args:
        name: ``room.table``.
        doc: one sentence for the analyst.
        columns: in the order of the table.
        key: columns whose values together are unique within a night.
        partition: the columns the folders are split by; a job's table is split by its night first.
        night: the column that holds the night which wrote the row; a rerun of that night replaces exactly those rows.
        reject_limit: largest share of a night's rows that may break row rules before the night stops.
        least_share: a night's rows must reach this share of the median of the seven nights before; 0 asks nothing.
        keep_days: nights that upkeep leaves, counted back from the last one; None for all. At least as many as any job
            or training looks back.
        may_be_empty: whether a night without rows is a normal night.
        rows: further row rules as ``(rule name, Spark SQL condition that good rows meet)``, and after them, where the
            condition is hard to read, what is expected in words.
        anonymous: columns by which people might be recognised (quasi-identifiers): rows of a night that are alike in
            all of them stand for at least k people (Samarati and Sweeney, 1998), or the night stops.
        people: the column that says how many people a row stands for; None where each is about one, by ``person``.
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition: tuple[str, ...] = ("day",)
    night: str = "day"
    reject_limit: float = 0.05
    least_share: float = 0.0
    keep_days: int | None = None
    may_be_empty: bool = True
    rows: tuple[tuple[str, ...], ...] = ()
    anonymous: tuple[str, ...] = ()
    people: str | None = None

    @property
    def room(self) -> str:
        return self.name.split(".")[0]

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def person(self) -> Column | None:
        """The column that says whom a row is about; None where rows are about nobody."""
        return next((column for column in self.columns if column.person in (SOURCE_ID, PSEUDONYM)), None)

    @property
    def ddl(self) -> str:
        """The columns as Spark reads a schema: ``a string, b double``."""
        return ", ".join(f"`{column.name}` {column.type}" for column in self.columns)


# how long nights are kept, see docs/data-engineer.md: what only the next night reads; a month of reruns; a quarter for
# what names a person or is asked about later; and what is accounted for over a year
WEEK, MONTH, QUARTER, YEAR = 8, 31, 92, 400

DAY = Column("day", "date", "the night: data up to and including this day was used", required=True)
ARRIVED = Column("day", "date", "the day the row reached us; a late event has an earlier ts", required=True)
