"""Behaviour: what people did, cleaned, on its own day, under pseudonyms."""

from schemas.contract import MONTH, PSEUDONYM, Column, Table
from schemas.raw import EVENT_TYPES

USER = Column(
    "user_id",
    "string",
    "pseudonym: keyed hash of the source's id, 32 hex digits",
    required=True,
    person=PSEUDONYM,
    sensitivity="pseudonymous",
)
ITEM = Column("item_id", "string", "as in catalogue.items", required=True)

LOG = Table(
    name="behaviour.log",
    doc="The behaviour log: cleaned, without duplicates, in sessions, late events on their own day.",
    columns=(
        Column("day", "date", "the day it happened, UTC", required=True),
        Column("arrived", "date", "the night that read it; later than day for late events", required=True),
        Column("event_id", "string", "as in raw.events", required=True),
        Column("event_type", "string", "what happened", required=True, one_of=EVENT_TYPES),
        Column("ts", "timestamp", "when it happened, UTC", required=True),
        USER,
        Column("item_id", "string", "null for events without an item"),
        Column(
            "session_id",
            "string",
            "events of a user with less than 30 minutes between them",
            required=True,
            sensitivity="pseudonymous",
        ),
        Column("basket_id", "string", "the source's basket; null where it has none", sensitivity="pseudonymous"),
        Column("store_id", "string", "the shop, branch or site"),
        Column("quantity", "double", "units", minimum=0),
        Column("amount", "double", "money received for the line", minimum=0),
        Column("unit_price", "double", "amount / quantity", minimum=0),
        Column("discount", "double", "money taken off the line", minimum=0),
        Column("query", "string", "text typed into search", sensitivity="personal"),
        Column("campaign_id", "string", "the campaign the event belongs to"),
        Column("rank", "int", "impressions: position, from 1", minimum=1),
        Column("clicked", "boolean", "impressions: whether it was clicked"),
        Column("propensity", "double", "impressions: the logging policy's probability", above=0, maximum=1),
        Column("policy", "string", "impressions: the logging policy"),
    ),
    key=("event_id",),
    night="arrived",
    partition=("arrived",),
    least_share=0.2,
)

EXPOSURES = Table(
    name="behaviour.exposures",
    doc="Impressions, and promoted items a visitor could see in the store that day: all that were clicked or bought, a "
    "seeded sample of the rest.",
    columns=(
        Column("day", "date", "the night it reached us: the day it happened, unless it came late", required=True),
        USER,
        ITEM,
        Column("store_id", "string", "where; null for an impression outside any store. In the key nulls are alike"),
        Column("display", "string", "as in raw.promotions; null for impressions"),
        Column("mailer", "string", "as in raw.promotions; null for impressions"),
        Column("clicked", "boolean", "whether it was clicked; null where the source logs no clicks"),
        Column("bought", "boolean", "whether the user bought it on that visit, or that night if shown", required=True),
        Column("weight", "double", "1 / probability of being in the sample", required=True, minimum=1),
    ),
    key=("user_id", "item_id", "store_id", "day"),
)

HISTORIES = Table(
    name="behaviour.histories",
    doc="Each user's purchases (views where a source has no purchases) up to the night, oldest first.",
    columns=(
        Column("day", "date", "the night", required=True),
        USER,
        Column(
            "item_ids",
            "array<string>",
            "the last 16,384 items, oldest first",
            required=True,
            sensitivity="pseudonymous",
        ),
        Column("times", "array<timestamp>", "when, same length", required=True, sensitivity="pseudonymous"),
        Column(
            "amounts",
            "array<double>",
            "money of the line, same length; null where unknown",
            required=True,
            sensitivity="pseudonymous",
        ),
        Column(
            "baskets",
            "array<string>",
            "basket (or session where there is none), same length",
            required=True,
            sensitivity="pseudonymous",
        ),
        Column("length", "int", "events ever, before the cut", required=True, minimum=1),
    ),
    keep_days=MONTH,
    key=("user_id",),
    may_be_empty=False,
    rows=(
        (
            "equal_lengths",
            "size(item_ids) = size(times) AND size(item_ids) = size(amounts) AND size(item_ids) = size(baskets)",
        ),
    ),
)

TABLES = (LOG, EXPOSURES, HISTORIES)
