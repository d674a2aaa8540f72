"""Each malformed rule or wish is refused with a reason that says what to write."""

from datetime import date

from jobs.gate import judge
from jobs.raw.preferences import preferences
from jobs.raw.rules import rules
from schemas import table

NIGHT = date(2024, 5, 31)
COLUMNS = "rule_id string, action string, item_id string, brand string, category string, segment string, value string, "
COLUMNS += "low double, high double, start_day date, end_day date"
NAMES = [column.split()[0] for column in COLUMNS.split(", ")]

GOOD = {
    "pin": {"action": "pin", "item_id": "1", "value": "3"},
    "boost": {"action": "boost", "brand": "acme", "value": "1.0"},
    "bury": {"action": "bury", "category": "tea", "value": "0.01", "segment": "none"},
    "exclude": {"action": "exclude", "item_id": "1", "start_day": NIGHT, "end_day": NIGHT},
    "cap": {"action": "cap_brand", "value": "1"},
    "cap_one": {"action": "cap_category", "category": "tea", "value": "2"},
    "band": {"action": "price_band", "low": 2.0, "high": 2.0},
    "age": {"action": "age_restricted", "category": "wine", "value": "18"},
    "stock": {"action": "in_stock"},
    "supply": {"action": "expected_in_stock", "value": "27"},
}
RANK = "expected a whole number of 1 or more as value: the rank to pin to"
STRENGTH = "expected a value above 0 and at most 1: the strength in units of the score"
MOST = "expected a whole number of 1 or more as value: the most items of a list; to allow none, exclude"
WHICH = "expected an item_id, a brand or a category to say which items are meant"
BAD = {
    "pin_without": ({"action": "pin", "item_id": "1"}, "pin_rank", f"action = pin, value = null, {RANK}"),
    "pin_half": ({"action": "pin", "item_id": "1", "value": "1.5"}, "pin_rank", f"action = pin, value = 1.5, {RANK}"),
    "pin_nan": ({"action": "pin", "item_id": "1", "value": "NaN"}, "pin_rank", f"action = pin, value = NaN, {RANK}"),
    "pin_brand": (
        {"action": "pin", "brand": "acme", "value": "1"},
        "pin_item",
        "action = pin, item_id = null, expected an item_id: a pin names one item",
    ),
    "boost_none": (
        {"action": "boost", "item_id": "1", "value": "0"},
        "strength",
        f"action = boost, value = 0.0, {STRENGTH}",
    ),
    "bury_much": (
        {"action": "bury", "item_id": "1", "value": "1.1"},
        "strength",
        f"action = bury, value = 1.1, {STRENGTH}",
    ),
    "boost_all": (
        {"action": "boost", "value": "1"},
        "target",
        f"action = boost, item_id = null, brand = null, category = null, {WHICH}",
    ),
    "two": (
        {"action": "exclude", "item_id": "1", "brand": "acme"},
        "one_target",
        "item_id = 1, brand = acme, category = null, expected at most one of item_id, brand and category: write a rule "
        "for each",
    ),
    "cap_none": ({"action": "cap_brand", "value": "0"}, "cap_most", f"action = cap_brand, value = 0.0, {MOST}"),
    "cap_other": (
        {"action": "cap_brand", "category": "tea", "value": "1"},
        "cap_target",
        "action = cap_brand, item_id = null, brand = null, category = tea, expected no target, or a brand for "
        "cap_brand and a category for cap_category",
    ),
    "age_none": (
        {"action": "age_restricted", "brand": "acme"},
        "least_age",
        "action = age_restricted, value = null, expected a value of 1 to 150: the least age in years",
    ),
    "supply_long": (
        {"action": "expected_in_stock", "value": "28"},
        "days_ahead",
        "action = expected_in_stock, value = 28.0, expected a whole number of 1 to 27 as value: the days that the "
        "stock has to last",
    ),
    "band_open": (
        {"action": "price_band"},
        "band_bound",
        "action = price_band, low = null, high = null, expected a low or a high price, or both",
    ),
    "band_back": (
        {"action": "price_band", "low": 2.0, "high": 1.0},
        "band_forward",
        "low = 2.0, high = 1.0, expected a low price that is not above the high one",
    ),
    "back": (
        {"action": "in_stock", "start_day": NIGHT, "end_day": date(2024, 5, 30)},
        "runs_forward",
        "start_day = 2024-05-31, end_day = 2024-05-30, expected a start_day that is not after the end_day",
    ),
    "what": (
        {"action": "hide", "item_id": "1"},
        "action",
        "action = hide, expected one of pin, boost, bury, exclude, cap_brand, cap_category, price_band, "
        "age_restricted, in_stock, expected_in_stock",
    ),
    "who": (
        {"action": "in_stock", "segment": "rich"},
        "segment",
        "segment = rich, expected one of none, new, occasional, loyal",
    ),
    "word": ({"action": "boost", "item_id": "1", "value": "lots"}, "readable_value", "value: 'lots' is no number"),
}


def test_each_malformed_rule_is_refused_with_what_to_write(spark):
    written = {**GOOD, **{rule_id: row for rule_id, (row, _, _) in BAD.items()}}
    rows = [tuple(({"rule_id": rule_id} | row).get(name) for name in NAMES) for rule_id, row in written.items()]
    made = judge(rules(spark.createDataFrame(rows, COLUMNS), day=NIGHT), table("raw.rules")).collect()
    assert {row["rule_id"] for row in made if row["_rule"] is None} == set(GOOD)
    told = {row["rule_id"]: (row["_rule"], row["_reason"]) for row in made if row["_rule"] is not None}
    assert told == {rule_id: (rule, reason) for rule_id, (_, rule, reason) in BAD.items()}


def test_a_wish_names_what_it_is_about_and_nothing_else(spark):
    rows = [
        ("ann", "less_brand", "acme"),
        ("ann", "less_brand", "oven"),
        ("ann", "sort_by_price", None),
        ("bob", "less_category", None),
        ("cy", "more_variety", "a lot"),
        ("dan", "never", None),
        ("eve", " No_Profiling\t", "please"),  # nobody is profiled for a word too many
    ]
    frame = spark.createDataFrame(rows, "user_id string, preference string, value string")
    made = judge(preferences(frame, day=NIGHT), table("raw.preferences")).collect()
    told = sorted((row["user_id"], row["_rule"] or "") for row in made)
    assert told == [
        ("ann", ""), ("ann", ""), ("ann", ""), ("bob", "value_named"), ("cy", "value_apart"), ("dan", "preference"),
        ("eve", ""),
    ]  # fmt: skip
    assert [row["preference"] for row in made if row["user_id"] == "eve"] == ["no_profiling"]
    (bob,) = [row["_reason"] for row in made if row["user_id"] == "bob"]
    assert bob == "preference = less_category, value = null, expected the name of the brand or category as value"
