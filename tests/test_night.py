"""A small shop's nights, from files to lists: rerun, backfill, late and bad rows, and a night that must stop."""

import json
from datetime import date, timedelta

import pytest

import schemas
from jobs.behaviour.pseudonym import pseudonym_key, pseudonym_of
from jobs.erase import erase
from jobs.explain import explain
from jobs.lake import Lake
from jobs.night import Job, Night
from jobs.privacy import Privacy
from jobs.runner import GateError, run
from tests.conftest import NO_JAVA
from tests.jobs.conftest import registered
from tests.jobs.lists.conftest import write_export

FIRST, LAST = date(2024, 5, 1), date(2024, 5, 16)
MAPPING = """
[events]
files = "events/*/*.jsonl"
event_types = { bought = "purchase", seen = "view" }
optional = ["sku", "n", "paid", "basket"]
[events.columns]
ts = "at"
event_type = "what"
user_id = "who"
item_id = "sku"
quantity = "n"
amount = "paid"
basket_id = "basket"

[items]
files = "items.csv"
columns = { item_id = "sku", title = "name", brand = "brand", category_path = ["aisle", "shelf"], price = "price" }

[rules]
files = "rules.csv"
columns = { rule_id = "id", action = "do", item_id = "sku", value = "rank", campaign_id = "campaign", end_day = "to" }

[preferences]
files = "wishes.csv"
columns = { user_id = "who", preference = "wish" }
"""
MADE = [table.name for table in schemas.TABLES.values() if table.name != "insight.quality" and table.room != "raw"]
ROOMS = ["raw.events", "raw.items", "raw.reviews", "raw.rules", "raw.preferences", *MADE]
JOBS = {name: Job.named(name) for name in ROOMS}


def made_of(names):
    """``names`` and all that they read of their own night, in the order of a night."""
    found, left = set(), list(names)
    while left:
        name = left.pop()
        if name in JOBS and name not in found:
            found.add(name)
            left += [read.table for read in JOBS[name].reads.values() if read.kind in ("on", "upto", "new", "around")]
    return [name for name in ROOMS if name in found]


# what goes on from where it last stood; the night that is made next makes all else from the beginning
ALONE = [name for name, job in JOBS.items() if any(job.reads_kind(kind) for kind in ("new", "source"))]
GOING_ON = [name for name in ROOMS if name in {*ALONE, "profiles.preferences"}]  # whose wishes profiles.totals asks for
# what later nights look back on; all else is a function of tables of its own night, and comes out as they do
LOOKED_AT = {read.table for job in JOBS.values() for read in job.reads.values() if read.kind in ("before", "around")}
BEHIND = [name for name in made_of([*ALONE, *LOOKED_AT, "insight.budget"]) if not name.startswith("lists.")]


def purchase(day, hour, who, sku, **changes):
    at = f"{day}T{hour:02d}:00:00Z"
    return {"at": at, "what": "bought", "who": who, "sku": sku, "n": 1, "paid": 2.5, "basket": f"{who}-{day}"} | changes


def deliver(shop, day, *rows):
    folder = shop / "events" / day.isoformat()
    folder.mkdir(parents=True)
    (folder / "part.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Sixteen days, four people, six items; on the last days a late row, a twin, an unknown item and a bad price."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "mapping.toml").write_text(MAPPING)
    names = ["apple,red fruit", "bread,bakery", "cherry,red fruit", "dates,fruit", "éclair 🍫,bakery", "苹果,fruit"]
    lines = [f"{n},{name.split(',')[0]},own,food,{name.split(',')[1]},{n}.5" for n, name in enumerate(names, 1)]
    (folder / "items.csv").write_text("\n".join(["sku,name,brand,aisle,shelf,price", *lines]), encoding="utf-8")
    (folder / "rules.csv").write_text("id,do,sku,rank,campaign,to\nfront,pin,6,1,spring,2024-06-30\n")
    (folder / "wishes.csv").write_text("who,wish\nann,no_personalisation\ncy,no_profiling\n")
    for n in range(16):
        day = FIRST + timedelta(days=n)
        rows = [purchase(day, 9 + w, who, str(1 + (n * (w + 1)) % 6)) for w, who in enumerate(("ann", "bob", "cy"))]
        rows.append({"at": f"{day}T23:50:00Z", "what": "seen", "who": "ann", "sku": "2"})
        if n == 14:
            rows.append(purchase(day - timedelta(days=2), 12, "bob", "6"))  # two days late
        if n == 15:
            # enough of a day that three bad rows are within the limit
            rows += [{"at": f"{day}T08:{m:02d}:00Z", "what": "seen", "who": "bob", "sku": "3"} for m in range(60)]
            rows += [rows[0], purchase(day, 13, "cy", "no such item"), purchase(day, 14, "cy", "1", paid="-3")]
        deliver(folder, day, *rows)
    return folder


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    """A registered model version with the small export that scoring's tests work out by hand."""
    folder = tmp_path_factory.mktemp("registry")
    with registered(folder) as (client, run_id, version):
        export = folder / "export"
        export.mkdir()
        write_export(export)
        client.log_artifacts(run_id, str(export), "export")
        yield version


@pytest.fixture(scope="module", autouse=True)
def java(spark):
    """Plans written as Java, as every night of a shop has them."""
    for name in NO_JAVA:
        spark.conf.unset(name)
    yield
    for name, value in NO_JAVA.items():
        spark.conf.set(name, value)


@pytest.fixture
def night(shop, version, tmp_path, spark):
    def night(day, lake="lake", **changes):
        given = {"source": "folder", "data": str(shop), "model_version": version, "docs": str(tmp_path / "docs")}
        given["privacy"] = Privacy(k=2)
        return Night(day, str(tmp_path / lake), f"run of {day}", **(given | changes))

    return night


DRAWN = "insight.released"  # noise, which no two lakes share; what a night drew stays

# the shop has neither promotions nor reviews, knows nothing of its people, and has too few of them for topics
NOTHING_OF = (
    "behaviour.exposures",
    "raw.reviews",
    "catalogue.reviews",
    "catalogue.topics",
    "profiles.demographics",
    "profiles.sentiments",
    "profiles.topics",
)


def rows(lake, name, **nights):
    table = schemas.table(name)
    frame = lake.read(table, **nights).select(*table.column_names)
    return sorted(frame.selectExpr("to_json(struct(*)) AS row").toPandas()["row"])


def test_history_at_once_and_then_a_backfill_equal_nights_one_by_one(night, spark):
    run(BEHIND, night(LAST - timedelta(days=1), "one by one"))
    run(ROOMS, night(LAST, "one by one"))
    run(GOING_ON, night(LAST, "at once"))
    run(BEHIND, night(LAST - timedelta(days=1), "at once"))
    run(BEHIND, night(LAST, "at once"))
    one_by_one, at_once = (Lake(spark, night(LAST, name).lake) for name in ("one by one", "at once"))
    for name in [*ROOMS, "raw.rejects"]:
        expected = rows(one_by_one, name)
        assert expected or name in NOTHING_OF
        assert name not in (*BEHIND, "raw.rejects") or name == DRAWN or rows(at_once, name) == expected, name
    drawn = rows(at_once, DRAWN)
    run([DRAWN, "insight.budget"], night(LAST, "at once"))
    assert rows(at_once, DRAWN) == drawn != rows(one_by_one, DRAWN)
    assert rows(at_once, "insight.budget") == rows(one_by_one, "insight.budget")

    log = at_once.read(schemas.table("behaviour.log"))
    late = log.where("day < arrived").select("day", "arrived", "item_id").collect()
    assert [tuple(row) for row in late] == [(LAST - timedelta(days=3), LAST - timedelta(days=1), "6")]
    rejects = at_once.read(schemas.table("raw.rejects")).select("day", "table", "rule").collect()
    assert sorted(tuple(row) for row in rejects) == [
        (LAST, "behaviour.log", "duplicate"),
        (LAST, "behaviour.log", "known_item"),
        (LAST, "raw.events", "amount"),
    ]
    lists = one_by_one.read(schemas.table("lists.recommendations"), day=LAST)
    people = {row["user_id"] for row in lists.where(f"day = DATE'{LAST}'").select("user_id").distinct().collect()}
    known = one_by_one.read(schemas.table("profiles.users")).select("user_id").distinct().collect()
    assert people == {row["user_id"] for row in known}
    # made again from the night's tables, each list is the one that was published
    for user in sorted(people):
        (explained,) = explain(one_by_one, user, LAST)
        assert explained.published, user
    with pytest.raises(ValueError, match="has no list for user_id 'nobody' on"):
        explain(one_by_one, "nobody", LAST)
    first = lists.where(f"day = DATE'{LAST}' AND rank = 1").select("item_id", "reason", "policy", "rules").collect()
    spring = ("6", "Part of our campaign spring, until 30 June 2024.")
    assert sorted((*row[:3], *row["rules"]) for row in first) == [
        (*spring, "model", "front"),
        (*spring, "popular", "front", "no_personalisation"),
        (*spring, "popular", "front", "no_profiling"),
    ]
    histories = at_once.read(schemas.table("behaviour.histories"), day=LAST).select("user_id").distinct().collect()
    assert {row["user_id"] for row in histories} == {pseudonym_of(who, pseudonym_key()) for who in ("ann", "bob")}

    before = {name: len(rows(one_by_one, name)) for name in ROOMS if schemas.table(name).person}
    erased = erase(["bob"], one_by_one.uri)
    assert (erased.left, erased.unknown) == ([], [])
    removed = {each.table: each.rows for each in erased.removed if each.table != "raw.rejects"}
    assert removed == {name: before[name] - len(rows(one_by_one, name)) for name in before}
    gone = {name for name, count in removed.items() if count}
    assert gone >= {"raw.events", "behaviour.log", "profiles.users", "lists.vectors", "lists.recommendations"}


def test_a_night_cut_short_stops_before_anything_of_it_is_published(night, shop, spark, tmp_path):
    day = LAST + timedelta(days=1)
    run(["raw.events", "raw.items"], night(LAST))
    lake = Lake(spark, night(LAST).lake)
    before = rows(lake, "raw.items")
    items = (shop / "items.csv").read_text(encoding="utf-8")
    deliver(shop, day, purchase(day, 9, "ann", "1"))
    try:
        (shop / "items.csv").write_text("\n".join(items.splitlines()[:2]), encoding="utf-8")
        with pytest.raises(GateError, match=r"raw\.items.*1 row"):
            run(["raw.items"], night(day))
    finally:
        (shop / "items.csv").write_text(items, encoding="utf-8")
    assert rows(lake, "raw.items") == before
    told = lake.read(schemas.table("insight.quality")).where(f"day = DATE'{day}' AND NOT success").collect()
    assert [row["table"] for row in told] == ["raw.items"]
    assert told[0]["severity"] == "table"


def test_lists_without_a_model_say_what_to_do(night):
    with pytest.raises(ValueError, match="pass --model-version"):
        run(["lists.vectors"], night(LAST, model_version=None))
    with pytest.raises(ValueError, match="has no version '99'"):
        run(["lists.vectors"], night(LAST, model_version="99"))
