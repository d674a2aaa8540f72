"""What people control: the shop its lists by rules, a shopper by preferences. Raw tables, apart for their length."""

from schemas.contract import ARRIVED, MONTH, SOURCE_ID, YEAR, Column, Table

# what a business rule does; jobs/ranking/rules.py says how
RULE_ACTIONS = (
    "pin",
    "boost",
    "bury",
    "exclude",
    "cap_brand",
    "cap_category",
    "price_band",
    "age_restricted",
    "in_stock",
    "expected_in_stock",
)
WISHES = (
    "sort_by_price",
    "more_variety",
    "less_variety",
    "less_brand",
    "less_category",
    "no_personalisation",
    "no_profiling",
)
SEGMENTS = ("none", "new", "occasional", "loyal")  # of shoppers, see profiles.users
HIGHEST = 10_000  # rank of a pin, items of a cap
LONGEST = 27  # days that last night's forecast, of 28, tells of those after tonight


RULES = Table(
    name="raw.rules",
    doc="Business rules of the lists as the shop wrote them, one row a rule.",
    columns=(
        ARRIVED,
        Column("rule_id", "string", "the shop's name of the rule", required=True, max_length=256),
        Column("action", "string", "what it does", required=True, one_of=RULE_ACTIONS),
        Column("surface", "string", "where it holds; null for every surface"),
        Column("item_id", "string", "the item it names", max_length=256),
        Column("brand", "string", "the brand it names, as in catalogue.items"),
        Column("category", "string", "the category it names: any of an item's category_path in catalogue.items"),
        Column("segment", "string", "whom it is for, as in profiles.users; null for everybody", one_of=SEGMENTS),
        Column(
            "value",
            "double",
            "pin: the rank; boost, bury: strength in units of the score; caps: most items of a list; age_restricted: "
            "least age; expected_in_stock: days that the stock has to last",
        ),
        Column("low", "double", "price_band: the lowest price", minimum=0, maximum=1e7),
        Column("high", "double", "price_band: the highest price", minimum=0, maximum=1e7),
        Column("start_day", "date", "first day it holds; null for open"),
        Column("end_day", "date", "last day it holds; null for open"),
        Column("campaign_id", "string", "the campaign it belongs to, which reasons name", max_length=256),
        Column("note", "string", "why, for the shop", max_length=10_000),
    ),
    keep_days=YEAR,
    key=("rule_id",),
    reject_limit=1.0,  # people write them: one bad line of three must not stop the night
    rows=(
        (
            "one_target",
            "int(item_id IS NOT NULL) + int(brand IS NOT NULL) + int(category IS NOT NULL) <= 1",
            "at most one of item_id, brand and category: write a rule for each",
        ),
        ("pin_item", "action <> 'pin' OR item_id IS NOT NULL", "an item_id: a pin names one item"),
        (
            "pin_rank",
            f"action <> 'pin' OR (value BETWEEN 1 AND {HIGHEST} AND value = rint(value))",
            "a whole number of 1 or more as value: the rank to pin to",
        ),
        (
            "target",
            "action NOT IN ('boost', 'bury', 'exclude', 'age_restricted') "
            "OR coalesce(item_id, brand, category) IS NOT NULL",
            "an item_id, a brand or a category to say which items are meant",
        ),
        (
            "strength",
            "action NOT IN ('boost', 'bury') OR (value > 0 AND value <= 1)",
            "a value above 0 and at most 1: the strength in units of the score",
        ),
        (
            "cap_target",
            "(action <> 'cap_brand' OR coalesce(item_id, category) IS NULL) "
            "AND (action <> 'cap_category' OR coalesce(item_id, brand) IS NULL)",
            "no target, or a brand for cap_brand and a category for cap_category",
        ),
        (
            "cap_most",
            f"action NOT IN ('cap_brand', 'cap_category') OR (value BETWEEN 1 AND {HIGHEST} AND value = rint(value))",
            "a whole number of 1 or more as value: the most items of a list; to allow none, exclude",
        ),
        (
            "least_age",
            "action <> 'age_restricted' OR value BETWEEN 1 AND 150",
            "a value of 1 to 150: the least age in years",
        ),
        (
            "days_ahead",
            f"action <> 'expected_in_stock' OR (value BETWEEN 1 AND {LONGEST} AND value = rint(value))",
            f"a whole number of 1 to {LONGEST} as value: the days that the stock has to last",
        ),
        (
            "band_bound",
            "action <> 'price_band' OR coalesce(low, high) IS NOT NULL",
            "a low or a high price, or both",
        ),
        ("band_forward", "low IS NULL OR high IS NULL OR low <= high", "a low price that is not above the high one"),
        (
            "runs_forward",
            "start_day IS NULL OR end_day IS NULL OR start_day <= end_day",
            "a start_day that is not after the end_day",
        ),
    ),
)

PREFERENCES = Table(
    name="raw.preferences",
    doc="What people asked of their own lists, one row a wish.",
    columns=(
        ARRIVED,
        Column(
            "user_id",
            "string",
            "the source's id",
            required=True,
            max_length=256,
            person=SOURCE_ID,
            sensitivity="personal",
        ),
        Column("preference", "string", "the wish", required=True, one_of=WISHES),
        Column("value", "string", "less_brand, less_category: its name, as in catalogue.items"),
    ),
    keep_days=MONTH,
    key=("user_id", "preference", "value"),
    rows=(
        (
            "value_named",
            "preference NOT IN ('less_brand', 'less_category') OR value IS NOT NULL",
            "the name of the brand or category as value",
        ),
        (
            "value_apart",
            # who refuses must not be profiled for a word too many
            "preference IN ('less_brand', 'less_category', 'no_personalisation', 'no_profiling') OR value IS NULL",
            "no value: only less_brand and less_category name something",
        ),
    ),
)
