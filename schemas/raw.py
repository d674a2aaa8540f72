"""Raw tables: every source lands in these. What a source doesn't have is null or an absent table, never invented."""

from datetime import date

from schemas.contract import ARRIVED, MONTH, PSEUDONYM, QUARTER, QUOTED, SOURCE_ID, Column, Table
from schemas.control import PREFERENCES, RULES

# the night of a source row whose date can't be read: it is read every night, and rejected under this day
UNDATED = date(1900, 1, 1)

EVENT_TYPES = (
    "impression",
    "view",
    "search",
    "add_to_cart",
    "purchase",
    "return",
    "review",
    "coupon_redemption",
)
ITEM_EVENTS = tuple(name for name in EVENT_TYPES if name not in ("search", "coupon_redemption"))

EVENTS = Table(
    name="raw.events",
    doc="What people did, one row an event, as the source tells it.",
    columns=(
        ARRIVED,
        Column("event_id", "string", "stable id; a hash of the source row where the source has none", required=True),
        Column("event_type", "string", "what happened", required=True, one_of=EVENT_TYPES),
        Column("ts", "timestamp", "when it happened, UTC", required=True),
        Column(
            "user_id",
            "string",
            "the source's own id; never leaves the raw room",
            required=True,
            max_length=256,
            person=SOURCE_ID,
            sensitivity="personal",
        ),
        Column("item_id", "string", "null for events without an item, such as a search", max_length=256),
        Column("quantity", "double", "units bought or returned", minimum=0, maximum=1e6),
        Column("amount", "double", "money received for the line after discounts", minimum=0, maximum=1e7),
        Column("discount", "double", "money taken off the shelf price of the line", minimum=0, maximum=1e7),
        Column("basket_id", "string", "the source's basket or order", sensitivity="pseudonymous"),
        Column(
            "session_id", "string", "the source's session; ours is derived in behaviour.log", sensitivity="pseudonymous"
        ),
        Column("store_id", "string", "the shop, branch or site"),
        Column("query", "string", "text typed into search", max_length=10_000, sensitivity="personal"),
        Column("campaign_id", "string", "the campaign the event belongs to"),
        Column("rank", "int", "position on the page of an impression, from 1", minimum=1),
        Column("clicked", "boolean", "impression: whether it was clicked; null if the source doesn't say"),
        Column("propensity", "double", "impression: the logging policy's probability", above=0, maximum=1),
        Column("policy", "string", "impression: the logging policy"),
    ),
    keep_days=QUARTER,
    key=(),  # a source may tell an event twice; behaviour.log keeps the first
    least_share=0.2,
    rows=(
        ("not_in_future", "CAST(ts AS DATE) <= day"),
        ("item_named", f"event_type NOT IN {ITEM_EVENTS!r} OR item_id IS NOT NULL"),
        ("something_bought", "event_type NOT IN ('purchase', 'return') OR quantity IS NULL OR quantity > 0"),
    ),
)

ITEMS = Table(
    name="raw.items",
    doc="The shop's catalogue as it stood that night, one row an item.",
    columns=(
        ARRIVED,
        Column("item_id", "string", "the source's id", required=True, max_length=256),
        Column("title", "string", "what a shopper reads", max_length=100_000),
        Column("description", "string", "longer text", max_length=1_000_000),
        Column("brand", "string", "brand or manufacturer"),
        Column("category_path", "array<string>", "from the widest category to the narrowest"),
        Column("price", "double", "list price; null where the source has none", minimum=0, maximum=1e6),
        Column("cost", "double", "what a unit costs the shop; null where it isn't told", minimum=0, maximum=1e6),
        Column("available", "boolean", "whether it is on sale; null where the source doesn't say"),
        Column("stock", "double", "units on hand; null where the source doesn't say", minimum=0, maximum=1e9),
    ),
    keep_days=MONTH,
    key=("item_id",),
    least_share=0.5,
    may_be_empty=False,
)

REVIEWS = Table(
    name="raw.reviews",
    doc="Reviews with their text, where the source has them.",
    columns=(
        ARRIVED,
        Column("review_id", "string", "stable id", required=True, sensitivity="pseudonymous"),
        Column("ts", "timestamp", "when it was written, UTC", required=True),
        Column(
            "user_id",
            "string",
            "the source's own id",
            required=True,
            max_length=256,
            person=SOURCE_ID,
            sensitivity="personal",
        ),
        Column("item_id", "string", "what was reviewed", required=True, max_length=256),
        Column("rating", "double", "stars, 1 to 5", minimum=1, maximum=5),
        Column("title", "string", "headline", sensitivity="personal"),
        Column("text", "string", "body", max_length=1_000_000, sensitivity="personal"),
    ),
    key=("review_id",),
    rows=(("not_in_future", "CAST(ts AS DATE) <= day"),),
)

CAMPAIGNS = Table(
    name="raw.campaigns",
    doc="Campaigns and whom they were sent to, one row a campaign and user, where the source has them.",
    columns=(
        ARRIVED,
        Column("campaign_id", "string", "the source's id", required=True),
        Column("campaign_type", "string", "the source's kind of campaign"),
        Column("start_day", "date", "first day it runs", required=True),
        Column("end_day", "date", "last day it runs", required=True),
        Column(
            "user_id",
            "string",
            "the source's id of a user it was sent to; null for everybody",
            max_length=256,
            person=SOURCE_ID,
            sensitivity="personal",
        ),
    ),
    keep_days=QUARTER,
    key=("campaign_id", "user_id"),
    rows=(("runs_forward", "start_day <= end_day"),),
)

PROMOTIONS = Table(
    name="raw.promotions",
    doc="Which item was on display or in the mailer of which store, on which days; it lands on its first day.",
    columns=(
        ARRIVED,
        Column("store_id", "string", "the shop", required=True),
        Column("item_id", "string", "what was promoted", required=True),
        Column("start_day", "date", "first day", required=True),
        Column("end_day", "date", "last day", required=True),
        Column("display", "string", "where it stood in the store; null for no display"),
        Column("mailer", "string", "where it stood in the mailer; null for no mailer"),
    ),
    key=("store_id", "item_id", "start_day", "display", "mailer"),
    rows=(("runs_forward", "start_day <= end_day"),),
)

USERS = Table(
    name="raw.users",
    doc="What the shop knows of a person beside events, where the source has it.",
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
        Column("attributes", "map<string,string>", "such as age, income, household_size", sensitivity="sensitive"),
    ),
    keep_days=MONTH,
    key=("user_id",),
)

REJECTS = Table(
    name="raw.rejects",
    doc="Every row that broke a row rule, with the rule, a reason a person can act on, and the source row.",
    columns=(
        Column("day", "date", "the night the row belongs to; 1900-01-01 if its date can't be read", required=True),
        Column("table", "string", "the table it was meant for", required=True),
        Column("rule", "string", "the rule it broke first", required=True),
        Column(
            "reason",
            "string",
            "column, value and what was expected",
            required=True,
            person=QUOTED,
            sensitivity="sensitive",
        ),
        Column("source_row", "string", "the row as JSON", required=True, person=QUOTED, sensitivity="sensitive"),
        Column(
            "user_id",
            "string",
            "pseudonym of whom it is about; null where that isn't known",
            person=PSEUDONYM,
            sensitivity="pseudonymous",
        ),
    ),
    keep_days=QUARTER,
    key=(),
    partition=("table",),  # they are few: a folder a night would be a file for each handful
    reject_limit=1.0,
)

ERASED = Table(
    name="raw.erased",
    doc="Who was erased (python -m jobs erase): rows of theirs are rejected from then on, in every table and night.",
    columns=(
        Column("day", "date", "the lake's last night when it was asked; 1900-01-01 if it had none", required=True),
        Column(
            "mark",
            "string",
            "SHA-256 of the pseudonym, 64 hex digits: neither id nor pseudonym",
            required=True,
            sensitivity="pseudonymous",
        ),
    ),
    key=("mark",),
)

# no job makes these: the runner and the command line do
BY_RUNNER = ("raw.rejects", "raw.erased", "insight.quality")

TABLES = (EVENTS, ITEMS, REVIEWS, CAMPAIGNS, PROMOTIONS, USERS, RULES, PREFERENCES, REJECTS, ERASED)
