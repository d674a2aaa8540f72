"""The contract names each table, column and key once, and can be read as what Spark will make of it."""

import importlib
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

import schemas
from schemas.behaviour import USER
from schemas.contract import ROOMS, SENSITIVITIES
from schemas.objectives import OBJECTIVES, WEIGHTS
from schemas.raw import BY_RUNNER

TABLES = list(schemas.TABLES.values())
NAMES_A_PERSON = re.compile(r"user_id|pseudonym:|^\w*(user|person|customer|household|shopper|visitor|email)")
TYPES = re.compile(
    r"(string|double|float|int|bigint|boolean|date|timestamp|decimal\(\d+,\d+\)|array<.+>|map<(string|int),.+>)"
)


def test_an_unknown_table_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match=r"no table is called 'raw.event'; there are: .*raw\.events"):
        schemas.table("raw.event")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_is_well_formed(table):
    names = table.column_names
    assert table.room in ROOMS
    assert len(set(names)) == len(names)
    assert {*table.key, *table.partition, table.night} <= set(names)
    assert next(column for column in table.columns if column.name == table.night).required
    assert [column.name for column in table.columns if not TYPES.fullmatch(column.type)] == []
    assert [column.name for column in table.columns if not column.doc] == []
    assert 0 <= table.reject_limit <= 1
    assert 0 <= table.least_share <= 1


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_rules_fit_the_type_of_their_column(table):
    numbers, texts = ("double", "float", "int", "bigint"), ("string",)
    for column in table.columns:
        if (column.minimum, column.maximum, column.above) != (None, None, None):
            assert column.type in numbers, column.name
        if column.one_of is not None or column.max_length is not None:
            assert column.type in texts, column.name
        assert column.minimum is None or column.above is None, f"{column.name} has two lower bounds"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_column_that_names_a_person_says_how(table):
    """Erasure and the runner go by it alone: a column without its tag is one that nobody is erased from."""
    named = {column for column in table.columns if column.type == "string" and NAMES_A_PERSON.search(told(column))}
    assert [column.name for column in named if column.person is None] == []
    for column in table.columns:
        assert column.person in (None, "source_id", "pseudonym", "quoted"), column.name
        assert (column.person == "source_id") <= (table.room == "raw"), f"{column.name}: ids stay in the raw room"
    assert len({column.name for column in table.columns if column.person in ("source_id", "pseudonym")}) <= 1


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_who_is_named_is_never_called_harmless(table):
    expected = {"source_id": {"personal"}, "pseudonym": {"pseudonymous"}, "quoted": {"personal", "sensitive"}}
    for column in table.columns:
        assert column.sensitivity in expected.get(column.person, SENSITIVITIES), column.name


def test_the_analysts_page_lists_every_column_that_is_not_harmless():
    page = (Path(__file__).resolve().parents[2] / "docs/analyst.md").read_text(encoding="utf-8")
    listed = {}
    for level, columns in re.findall(
        r"^\| (pseudonymous|personal|sensitive) \| [^|]+ \| ([^|]+) \|$", page, re.MULTILINE
    ):
        for each in re.findall(r"`([^`]+)`", columns):
            listed[each] = level
    # one column that many tables share is listed once
    told = {
        "user_id" if column == USER else f"{table.name}.{column.name}": column
        for table in TABLES
        for column in table.columns
    }
    assert listed == {name: column.sensitivity for name, column in told.items() if column.sensitivity != "none"}


NEEDS_ALL = ("behaviour.exposures",)  # training.exposures reads every night up to its own


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_no_night_goes_that_a_job_looks_back_on(table):
    jobs = [name for name in schemas.TABLES if name not in BY_RUNNER]
    reads = [read for name in jobs for read in importlib.import_module(f"jobs.{name}").READS.values()]
    for read in (read for read in reads if read.table == table.name):
        everything = read.kind == "upto" or (read.kind == "before" and read.nights is None)
        # "new" reads the nights since the last one: a month without a night is caught up
        told = read.nights or 0
        back = {"on": 1, "last": told, "around": told, "before": told + 1, "new": 31}.get(read.kind)
        assert table.keep_days is None or (not everything and table.keep_days >= back), read
    assert table.name not in NEEDS_ALL or table.keep_days is None


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_an_anonymous_table_says_by_what_people_are_counted(table):
    columns = {column.name: column for column in table.columns}
    assert set(table.anonymous) <= set(columns)
    assert not table.anonymous or columns.get(table.people) or table.person, "who is counted?"
    if table.people:
        assert (columns[table.people].type, columns[table.people].required) == ("bigint", True)


def told(column):
    return f"{column.name}: {column.doc}"


def test_spark_reads_the_columns_back():
    table = schemas.table("lists.recommendations")
    assert table.ddl.startswith("`day` date, `surface` string, `user_id` string, `rank` int, `item_id` string, ")
    assert "`weights` map<string,double>" in table.ddl


def test_staged_lists_are_the_public_table_before_its_audit():
    staged, public = schemas.table("lists.staged"), schemas.table("lists.recommendations")
    assert (staged.columns, staged.key, staged.rows) == (public.columns, public.key, public.rows)


def test_the_plain_weights_are_of_objectives_and_sum_to_one():
    assert set(WEIGHTS) <= {objective.name for objective in OBJECTIVES}
    assert sum(WEIGHTS.values()) == pytest.approx(1)


def test_the_docs_tell_how_long_every_table_is_kept():
    text = (Path(__file__).parents[2] / "docs/data-engineer.md").read_text(encoding="utf-8")
    told = {}
    for kept, names in re.findall(r"^\| (for good|\d+ nights) \| ([^|]+) \|", text, re.MULTILINE):
        for name in re.findall(r"`([\w.*]+)`", names):  # a later row knows better than a room's
            told |= {table.name: kept for table in TABLES if fnmatch(table.name, name)}
    assert told == {table.name: f"{table.keep_days} nights" if table.keep_days else "for good" for table in TABLES}
