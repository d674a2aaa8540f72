"""What a night is, and which job makes which table.

Light on purpose: the check after every task imports it, and needs neither Great Expectations nor a session.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from types import ModuleType

from pyspark.sql import DataFrame

import schemas
from jobs import sources
from jobs.privacy import DEFAULT, Privacy
from jobs.reads import Read
from schemas import Table


@dataclass(frozen=True)
class Night:
    """What one night's jobs share; see ``python -m jobs --help`` for the meaning of each."""

    day: date
    lake: str
    run_id: str
    source: str = "complete_journey"
    data: str = ""
    model_version: str | None = None
    sentiment_version: str | None = None
    docs: str = "var/data_docs"  # folder of Great Expectations' pages
    privacy: Privacy = DEFAULT


@dataclass(frozen=True)
class Job:
    """A table with the function that makes it."""

    table: Table
    make: Callable[..., DataFrame | None]
    reads: dict[str, Read]
    audit: Callable[..., list[str]] | None

    @classmethod
    def named(cls, name: str) -> "Job":
        """The job ``room.table`` of ``jobs/room/table.py``."""
        table = schemas.table(name)
        try:
            module = importlib.import_module(f"jobs.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"jobs.{name}":
                raise
            raise ValueError(f"no job makes {name}: see the modules of jobs/") from error
        return cls(table, getattr(module, table.name.split(".")[1]), module.READS, getattr(module, "audit", None))

    def reads_kind(self, kind: str) -> bool:
        return any(read.kind == kind for read in self.reads.values())


def source_reader(source: str, table: Table) -> Callable[..., DataFrame] | None:
    """The function of ``jobs/sources/<source>.py`` that fills ``table``; None if the source has no such rows."""
    return getattr(_source(source), table.name.split(".")[1], None)


def lacking(name: str, night: Night) -> bool:
    """Whether ``name`` is a raw table that the night's source doesn't have."""
    job = Job.named(name)
    return job.reads_kind("source") and source_reader(night.source, job.table) is None


def _source(name: str) -> ModuleType:
    try:
        module = importlib.import_module(f"jobs.sources.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"jobs.sources.{name}":
            raise
        raise ValueError(_unknown(name)) from error
    if not hasattr(module, "events"):  # what the sources share, such as jobs/sources/files.py
        raise ValueError(_unknown(name))
    return module


def _unknown(name: str) -> str:
    modules = [module.name for module in pkgutil.iter_modules(sources.__path__)]
    known = [name for name in modules if hasattr(importlib.import_module(f"jobs.sources.{name}"), "events")]
    return f"no source is called {name!r}; there are {', '.join(sorted(known))}"
