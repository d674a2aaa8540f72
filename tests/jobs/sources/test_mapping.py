import pytest

from jobs.sources.mapping import parse

GOOD = """
[[events]]
files = "clicks/*.jsonl"
columns = { ts = "time", user_id = "visitor", item_id = "sku", event_type = "name" }
event_types = { page_view = "view", ping = "ignore" }

[[events]]
files = "orders/*.csv"
event_type = "purchase"
separator = ";"
[events.columns]
ts = "created_at"
user_id = "customer"

[items]
files = "items.csv"
columns = { item_id = "sku", category_path = ["department", "class"] }
"""


def test_sections_by_table():
    sections = parse(GOOD)
    clicks, orders = sections["events"]
    assert clicks.event_types == {"page_view": "view", "ping": "ignore"}
    assert clicks.theirs == ["time", "visitor", "sku", "name"]
    assert (orders.event_type, orders.separator, orders.time_zone) == ("purchase", ";", "UTC")
    assert sections["items"][0].theirs == ["sku", "department", "class"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[items]", "[products]", r"no section is called \[products\]; there are: events, items"),
        ('files = "items.csv"', "", r"\[items\] of mapping.toml lacks files"),
        ('separator = ";"', 'seperator = ";"', "no setting 'seperator'; there are: files, columns"),
        ('separator = ";"', "separator = 3", "separator = 3 is not a str"),
        ('user_id = "customer"', "", 'lacks a column: add the line user_id = "your column"'),
        (
            'item_id = "sku", event_type',
            'item = "sku", event_type',
            "'item' is none of our columns; they are: event_id",
        ),
        ('page_view = "view"', 'page_view = "viewed"', "page_view = 'viewed' is no event type; there are: impression"),
        ('event_type = "purchase"', 'event_type = "sale"', "event_type = 'sale' is no event type"),
        ('ts = "created_at"', 'ts = ["date", "time"]', r"ts = \['date', 'time'\] is not the name of one column"),
        ("[items]", "[items", "mapping.toml is not TOML"),
        ("[items]", "[users]", r"mapping.toml has no \[items\] section"),
    ],
)
def test_a_wrong_line_is_named(old, new, message):
    assert old in GOOD
    with pytest.raises(ValueError, match=message):
        parse(GOOD.replace(old, new))
