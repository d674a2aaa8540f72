import gzip
import json
import re
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from jobs.sources import folder

NIGHT = date(2017, 12, 31)
DOCS = Path(__file__).parents[3] / "docs/bring-your-own-data.md"
MAPPING = """
[events]
files = "events.csv"
columns = { ts = "created", user_id = "customer", item_id = "sku", event_type = "what", amount = "paid" }
event_types = { order = "purchase", ping = "ignore" }
[items]
files = "items.csv"
columns = { item_id = "sku", title = "name" }
"""
ADVICE = ': add a line "its name" = "our type" under event_types, or = "ignore"'
HEADER = "created,customer,sku,what,paid\n"


@pytest.fixture
def shop(tmp_path):
    """Writes files of a shop by path and gives their folder, whose name has a space in it."""

    def write(files, mapping=MAPPING):
        root = tmp_path / "my shop"
        for name, content in {"mapping.toml": mapping, **files}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(root)

    return write


def test_every_csv_row_is_kept_or_rejected_with_its_text(spark, shop):
    lines = [
        '2017-12-30 10:00:00,ann,007,order,"1.50"',
        "2017-12-31 10:00:00,bob,8,view,",
        "2017-12-31 11:00:00,bob,8,ping,",
        "2017-12-31 12:00:00,bob,8,hover,",
        "31.12.2017,cid,8,view,",
        "2017-12-31 13:00:00,cid,8,order,1.5 EUR",
        "2017-12-31 14:00:00,cid,8",
        "2017-12-31 15:00:00,cid,8,view,,,",
        '2017-12-31 16:00:00,"cid,8,view,',
        "2018-01-01 00:00:00,dan,9,view,",
        "",
    ]
    made = folder.events(spark, shop({"events.csv": HEADER + "\n".join(lines)}), None, NIGHT).cache()
    kept = made.where("_rule IS NULL").select("day", "user_id", "item_id", "event_type", "amount").orderBy("user_id")
    assert [tuple(row) for row in kept.collect()] == [
        (date(2017, 12, 30), "ann", "007", "purchase", 1.5),
        (NIGHT, "bob", "8", "view", None),
    ]
    odd = made.where("_rule IS NOT NULL").select("day", "_rule", "_reason", "_source").collect()
    assert {(row["day"], row["_rule"], row["_reason"]) for row in odd} == {
        (NIGHT, "known_event_type", "event_type: 'hover' is none of ours" + ADVICE),
        (NIGHT, "readable_amount", "amount: '1.5 EUR' is no number"),
        (NIGHT, "readable_row", "the line doesn't have the 5 columns of the header"),
        (None, "readable_ts", "ts: '31.12.2017' of column created is no ISO 8601 time; see time_format"),
    }
    assert {json.loads(row["_source"]).get("_line") for row in odd} == {None, lines[6], lines[7], lines[8]}
    assert len(odd) == 6


def test_a_later_night_reads_its_day_and_what_no_night_could_claim(spark, shop):
    rows = "2017-12-30 10:00:00,ann,1,view,\n2017-12-31 10:00:00,bob,1,view,\nlater,cid,1,view,\n"
    made = folder.events(spark, shop({"events.csv": HEADER + rows}), date(2017, 12, 30), NIGHT)
    assert {(row["user_id"], row["day"], row["_rule"]) for row in made.collect()} == {
        ("bob", NIGHT, None),
        ("cid", None, "readable_ts"),
    }


def test_dated_folders_hold_what_arrived_that_day(spark, shop):
    files = {
        "events/2017-12-29/a.csv": HEADER + "2017-12-29 10:00:00,ann,1,view,\n",
        "events/2017-12-31/a.csv": HEADER
        + "2017-12-28 10:00:00,late,1,view,\n2031-01-01,early,1,view,\nx,bad,1,view,\n",
        "events/day=2018-01-01/a.csv": HEADER + "2018-01-01 10:00:00,dan,1,view,\n",
        "events/2017-12-31/_SUCCESS": "",
        "events/2017-12-31/empty.csv": "",
    }
    data = shop(files, MAPPING.replace("events.csv", "events/*/*"))
    made = folder.events(spark, data, date(2017, 12, 30), NIGHT).collect()
    assert {(row["user_id"], row["day"], row["_rule"]) for row in made} == {
        ("late", NIGHT, None),
        ("early", NIGHT, None),  # of the future: the contract's rule not_in_future rejects it
        ("bad", NIGHT, "readable_ts"),
    }
    assert folder.events(spark, data, date(2017, 12, 29), date(2017, 12, 30)).collect() == []
    with pytest.raises(ValueError, match="no data for 2018-01-02; it has 2017-12-29 to 2018-01-01"):
        folder.events(spark, data, NIGHT, date(2018, 1, 2))


def test_an_arrived_column_places_late_events(spark, shop):
    mapping = MAPPING.replace('ts = "created"', 'ts = "created", arrived = "loaded"')
    rows = "created,customer,sku,what,paid,loaded\n2017-12-29,ann,1,view,,2017-12-31\n2017-12-30,bob,1,view,,\n"
    made = folder.events(spark, shop({"events.csv": rows}, mapping), date(2017, 12, 30), NIGHT).collect()
    assert [(row["user_id"], row["day"], str(row["ts"])) for row in made] == [("ann", NIGHT, "2017-12-29 00:00:00")]


def test_several_layouts_formats_and_sections_meet_in_one_table(spark, shop, tmp_path):
    mapping = """
[[events]]
files = "clicks/*"
time_zone = "Europe/Paris"
columns = { ts = "at", user_id = "who", item_id = "sku", event_type = "name" }
[[events]]
files = "orders/*.parquet"
event_type = "purchase"
columns = { ts = "at", user_id = "who", item_id = "sku", quantity = "n" }
[items]
files = "items.csv"
columns = { item_id = "sku" }
"""
    files = {
        "clicks/a.jsonl.gz": gzip.compress(
            '{"at":"2017-12-31T10:00:00","who":7,"sku":"茶","name":"view"}\n{"at":1\n\n'.encode()
        ),
        "clicks/b.csv": "sku,who,at,name\n🍵,bob,2017-12-31T12:00:00Z,view\n",
        "clicks/c.tsv": "name\tat\tsku\twho\nview\t2017-12-31\t3\tcid\n",
        "orders/none.txt": "",
    }
    data = shop(files, mapping)
    orders = pd.DataFrame({"at": pd.to_datetime(["2017-12-31 09:00:00.5"]), "who": ["dan"], "sku": [7], "n": [2.0]})
    orders.to_parquet(f"{data}/orders/a.parquet")
    made = folder.events(spark, data, None, NIGHT).collect()
    kept = {
        (row["user_id"], row["item_id"], row["event_type"], str(row["ts"]), row["quantity"])
        for row in made
        if not row["_rule"]
    }
    assert kept == {
        ("7", "茶", "view", "2017-12-31 09:00:00", None),
        ("bob", "🍵", "view", "2017-12-31 12:00:00", None),
        ("cid", "3", "view", "2017-12-31 00:00:00", None),
        ("dan", "7", "purchase", "2017-12-31 09:00:00.500000", 2.0),
    }
    (broken,) = [row for row in made if row["_rule"]]
    assert (broken["_rule"], json.loads(broken["_source"])) == ("readable_row", {"_line": '{"at":1'})


def test_items_take_long_text_in_any_script_and_three_ways_to_write_a_path(spark, shop):
    mapping = """
[events]
files = "events.csv"
columns = { ts = "created", user_id = "customer", event_type = "what" }
[[items]]
files = "items.csv"
columns = { item_id = "sku", title = "name", description = "text", category_path = "class", price = "price" }
[[items]]
files = "more.jsonl"
columns = { item_id = "sku", category_path = "class" }
[[items]]
files = "last.csv"
columns = { item_id = "sku", category_path = ["department", "class"] }
"""
    long = "x" * 100_000
    files = {
        "items.csv": "sku,name,text,class,price\n"
        f'1,"绿茶 ""特级"" 🍵",{long},Home > Tea,3.5\n2,"two\nlines",nul\0l,,-1\n3,a,,,cheap\n',
        "more.jsonl": '{"sku": 4, "class": ["Home", "Tea"]}\n',
        "last.csv": "sku,department,class\n5,Home,\n",
    }
    made = {row["item_id"]: row for row in folder.items(spark, shop(files, mapping), None, NIGHT).collect()}
    assert (made["1"]["title"], made["1"]["description"], made["1"]["price"]) == ('绿茶 "特级" 🍵', long, 3.5)
    assert (made["2"]["title"], made["2"]["description"], made["2"]["price"]) == ("two\nlines", "nul\0l", -1.0)
    assert made["3"]["_reason"] == "price: 'cheap' is no number"
    assert json.loads(made["3"]["_source"]) == {"sku": "3", "name": "a", "price": "cheap"}
    paths = {item: row["category_path"] for item, row in made.items()}
    assert paths == {"1": ["Home", "Tea"], "2": None, "3": None, "4": ["Home", "Tea"], "5": ["Home"]}
    assert {row["day"] for row in made.values()} == {NIGHT}


def test_the_latest_snapshot_up_to_the_night_counts(spark, shop):
    files = {f"items/2017-12-{day}/i.csv": f"sku,name\n{day},a\n" for day in (29, 31)}
    data = shop(files, MAPPING.replace("items.csv", "items/*/*.csv"))
    assert [row["item_id"] for row in folder.items(spark, data, None, date(2017, 12, 30)).collect()] == ["29"]
    with pytest.raises(ValueError, match="nothing for 2017-12-28; the first folder is 2017-12-29"):
        folder.items(spark, data, None, date(2017, 12, 28))


def test_reviews_campaigns_and_users_where_a_shop_has_them(spark, shop):
    mapping = (
        MAPPING
        + """
[reviews]
files = "reviews.csv"
columns = { ts = "created", user_id = "customer", item_id = "sku", rating = "stars", text = "text" }
[campaigns]
files = "campaigns.csv"
time_format = "dd/MM/yyyy"
columns = { campaign_id = "id", start_day = "from", end_day = "to" }
[users]
files = "users.csv"
columns = { user_id = "customer" }
attributes = ["age", "town"]
"""
    )
    files = {
        "reviews.csv": 'created,customer,sku,stars,text\n2017-12-31,ann,1,5,"good\nvery"\n2017-12-30,bob,1,1,bad\n',
        "campaigns.csv": "id,from,to\nxmas,01/12/2017,24/12/2017\nodd,2017,24/12/2017\n",
        "users.csv": "customer,age,town\nann,45-54,\nbob,,\n",
    }
    data = shop(files, mapping)
    (review,) = folder.reviews(spark, data, date(2017, 12, 30), NIGHT).collect()
    assert (review["user_id"], review["rating"], review["text"]) == ("ann", 5.0, "good\nvery")
    campaigns = {row["campaign_id"]: row for row in folder.campaigns(spark, data, None, NIGHT).collect()}
    assert (campaigns["xmas"]["start_day"], campaigns["xmas"]["end_day"]) == (date(2017, 12, 1), date(2017, 12, 24))
    assert campaigns["odd"]["_reason"] == "start_day: '2017' of column from is no time in the form dd/MM/yyyy"
    users = {row["user_id"]: row["attributes"] for row in folder.users(spark, data, None, NIGHT).collect()}
    assert users == {"ann": {"age": "45-54"}, "bob": {}}


def test_rules_and_preferences_as_people_keep_them(spark, shop):
    mapping = (
        MAPPING
        + """
[rules]
files = "rules/*/*.csv"
columns = { rule_id = "id", action = "do", item_id = "sku", value = "n", start_day = "from", end_day = "to" }
[preferences]
files = "wishes.csv"
columns = { user_id = "customer", preference = "wish", value = "of" }
"""
    )
    files = {
        "rules/2017-12-30/r.csv": "id,do,sku,n,from,to\nold,pin,1,1,,\n",
        "rules/2017-12-31/r.csv": "id,do,sku,n,from,to\na,pin,1,2,,2018-01-31\nb,pin,1,3,soon,\n",
        "wishes.csv": "customer,wish,of\nann,less_brand,acme\nann,sort_by_price,\n",
    }
    data = shop(files, mapping)
    made = {row["rule_id"]: row for row in folder.rules(spark, data, None, NIGHT).collect()}
    assert sorted(made) == ["a", "b"]
    # an open window is no fault, an unreadable one is
    assert (made["a"]["start_day"], made["a"]["end_day"], made["a"]["_rule"]) == (None, date(2018, 1, 31), None)
    assert made["b"]["_reason"] == "start_day: 'soon' of column from is no ISO 8601 time; see time_format"
    assert folder.rules(spark, data, None, date(2017, 12, 29)).collect() == []  # before the first was handed over
    wishes = folder.preferences(spark, data, None, NIGHT).collect()
    assert [(row["user_id"], row["preference"], row["value"]) for row in wishes] == [
        ("ann", "less_brand", "acme"),
        ("ann", "sort_by_price", None),
    ]


def test_without_a_section_there_are_no_rows(spark, shop):
    data = shop({})
    assert folder.reviews(spark, data, None, NIGHT).collect() == folder.users(spark, data, None, NIGHT).collect() == []


def test_files_that_are_missing_or_unlike_the_mapping(spark, shop):
    data = shop({"items.csv": "sku,title\n1,a\n", "events.parquet": b"PAR1 broken PAR1", "notes.txt": "x"})
    with pytest.raises(ValueError, match=r"\[events\] of mapping.toml: no file matches .*/my shop/events.csv"):
        folder.events(spark, data, None, NIGHT)
    with pytest.raises(
        ValueError, match=r"\[items\] of mapping.toml: .*items.csv has no column name; it has: sku, title"
    ):
        folder.items(spark, data, None, NIGHT)
    broken = shop({}, MAPPING.replace("events.csv", "events.parquet"))
    with pytest.raises(ValueError, match=r"events.parquet: not a readable Parquet file: copy it again"):
        folder.events(spark, broken, None, NIGHT)
    with pytest.raises(ValueError, match=r"notes.txt is none of csv, tsv, json"):
        folder.events(spark, shop({}, MAPPING.replace("events.csv", "notes.txt")), None, NIGHT)
    with pytest.raises(ValueError, match=r"has no mapping.toml: docs/bring-your-own-data.md shows one"):
        folder.events(spark, f"{data}/nowhere", None, NIGHT)
    with pytest.raises(ValueError, match="needs the path of your folder"):
        folder.events(spark, "", None, NIGHT)


def test_columns_may_be_optional_and_parquet_may_hold_other_types(spark, shop):
    mapping = MAPPING.replace('files = "events.csv"', 'files = "events.*"\noptional = ["paid"]')
    data = shop({"events.jsonl": '{"created":"2017-12-31","customer":"ann","sku":"1","what":"view"}\n'}, mapping)
    texts = {"created": ["2017-12-31"], "customer": [1.5], "sku": [True], "what": ["order"], "paid": ["1,5"]}
    pd.DataFrame(texts).to_parquet(f"{data}/events.parquet")
    made = {row["user_id"]: row for row in folder.events(spark, data, None, NIGHT).collect()}
    assert (made["ann"]["amount"], made["ann"]["_rule"]) == (None, None)
    assert (made["1.5"]["item_id"], made["1.5"]["_reason"]) == ("true", "amount: '1,5' is no number")


def test_numbers_have_no_time_zone(spark, shop):
    mapping = MAPPING.replace('files = "events.csv"', 'files = "events.parquet"\ntime_zone = "Europe/Paris"')
    data = shop({}, mapping)
    moments = pd.to_datetime(["2017-12-31 09:00:00"])
    rows = {"created": moments, "customer": ["a"], "sku": ["1"], "what": ["view"], "paid": [None]}
    pd.DataFrame(rows).to_parquet(f"{data}/events.parquet")
    with pytest.raises(ValueError, match="created holds numbers, which count from 1970 in UTC"):
        folder.events(spark, data, None, NIGHT)


def test_the_shop_of_the_docs(spark, shop):
    files = dict(re.findall(r"^```\w+ (\S+\.\w+)\n(.*?)^```", DOCS.read_text(encoding="utf-8"), flags=re.M | re.S))
    mapping = files.pop("mapping.toml")
    assert len(files) == 3
    data = shop(files, mapping)
    columns = ("event_type", "user_id", "item_id", "quantity", "amount", "basket_id", "_rule")
    made = folder.events(spark, data, None, date(2026, 3, 14)).select("ts", *columns).orderBy("ts").collect()
    assert [(str(row["ts"]), *(row[name] for name in columns)) for row in made] == [
        ("2026-03-13 20:05:00", "purchase", "k-17", "00417", 2.0, 7.0, "o-1", None),
        ("2026-03-14 08:59:30", "view", "k-17", "00417", None, None, None, None),
        ("2026-03-14 09:00:10", "add_to_cart", "k-17", "00417", None, None, None, None),
    ]
    (item,) = folder.items(spark, data, None, date(2026, 3, 14)).collect()
    assert (item["item_id"], item["category_path"], item["price"]) == ("00417", ["Drinks", "Tea"], 3.5)
