"""What a job asks the runner for: which nights of which table, the source's rows, or the night's model.

A job module declares ``READS = {"argument": read, ...}``; the runner hands each in under that name. "Night" is the
value of the table's ``night`` column: the night that wrote the row.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Read:
    """One argument of a job. ``nights`` limits ``last``, ``before``, ``around``; absent and ``optional`` is None."""

    kind: Literal["on", "upto", "last", "new", "before", "source", "model", "sentiment", "privacy", "around"]
    table: str = ""
    nights: int | None = None
    optional: bool = False


def on(table: str, *, optional: bool = False) -> Read:
    """The rows that tonight wrote."""
    return Read("on", table, optional=optional)


def upto(table: str, *, optional: bool = False) -> Read:
    """The rows of all nights up to and including tonight."""
    return Read("upto", table, optional=optional)


def last(table: str, nights: int, *, optional: bool = False) -> Read:
    """The rows of the last ``nights`` nights, tonight included."""
    return Read("last", table, nights, optional)


def new(table: str, *, optional: bool = False) -> Read:
    """The rows of the nights since this job's table was last written, up to tonight; all history on the first night."""
    return Read("new", table, optional=optional)


def before(table: str, *, nights: int | None = None, optional: bool = False) -> Read:
    """The rows of the nights (all, or the last ``nights``) before those that ``new`` hands in."""
    return Read("before", table, nights, optional)


def around(table: str, nights: int, *, optional: bool = False) -> Read:
    """The rows of tonight and of fewer than ``nights`` nights before and after it: for what may be spent but once."""
    return Read("around", table, nights, optional)


def source() -> Read:
    """What the shop's source delivered for this raw table since it was last written."""
    return Read("source")


def model() -> Read:
    """The night's model version, as a :class:`jobs.model.Model`."""
    return Read("model")


def sentiment() -> Read:
    """The night's version of the sentiment model, as :func:`model`; None where there is none."""
    return Read("sentiment")


def privacy() -> Read:
    """What may be told of people, as a :class:`jobs.privacy.Privacy`."""
    return Read("privacy")
