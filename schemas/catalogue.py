"""Catalogue: what the shop sells, as text for the language model and figures for the lists."""

import hashlib

from schemas.behaviour import ITEM, USER
from schemas.contract import ARRIVED, DAY, MONTH, QUARTER, Column, Table

SENTIMENTS = ("negative", "neutral", "positive")
TEXT_KINDS = ("title", "attributes", "description", "review", "search")

# what an item sells, as training and scoring both reckon it
TREND_HALF_LIVES = (2, 7, 30)  # days: what is on offer now, the week, the season
TREND_PRIOR = 0.1  # purchases that an item is credited with before its first
# of weeks after a purchase that see another, and how many such weeks an item is credited with
USUALLY_AGAIN, SURELY_AGAIN = 0.02, 5.0

ITEMS = Table(
    name="catalogue.items",
    doc="One row an item: its text, price with history, and how it sells.",
    columns=(
        DAY,
        Column("item_id", "string", "the source's id", required=True),
        Column("title", "string", "what a shopper reads", required=True, max_length=500),
        Column(
            "text", "string", "what the language model reads: title, brand, category path, description", required=True
        ),
        Column("brand", "string", "brand or manufacturer"),
        Column("category_path", "array<string>", "from the widest category to the narrowest", required=True),
        Column("category", "string", "the category used for grouping: the second level, or the first", required=True),
        Column(
            "price",
            "double",
            "median unit price of the last 28 days sold, else that of the last line sold, else the list price",
            minimum=0,
        ),
        Column("cost", "double", "what a unit costs the shop; null where the source doesn't tell", minimum=0),
        Column("price_history", "array<struct<day:date,price:double>>", "weekly median unit prices, oldest first"),
        Column("purchases", "bigint", "purchase lines ever", required=True, minimum=0),
        Column("purchases_28d", "bigint", "purchase lines in the last 28 days", required=True, minimum=0),
        Column("popularity", "double", "purchase lines with a half-life of 14 days", required=True, minimum=0),
        Column("first_seen", "date", "first event; null for an item nobody touched"),
        Column("last_sold", "date", "last purchase; null if never"),
        Column(
            "available",
            "boolean",
            "what the source says of it, by its stock where it tells only that; null where it is silent",
        ),
        Column("stock", "double", "units on hand, as the source says; null where it is silent", minimum=0),
        Column(
            "days_of_supply",
            "int",
            "days after the night whose expected units the stock covers, by the newest forecast from before the night; "
            "null without stock or forecast, and where it covers all that is foretold",
            minimum=0,
        ),
        Column("on_sale", "boolean", "the source says so; where it is silent: sold in the last 56 days", required=True),
    ),
    keep_days=QUARTER,
    key=("item_id",),
    least_share=0.5,
    may_be_empty=False,
)

TEXTS = Table(
    name="catalogue.texts",
    doc="The shop's own words, each once: the corpus on which a language model continues its pre-training.",
    columns=(
        DAY,
        Column("text_id", "string", "hash of kind, normalised text and about, 32 hex digits", required=True),
        Column("kind", "string", "where it was written", required=True, one_of=TEXT_KINDS),
        Column(
            "text", "string", "on one line, as it was written", required=True, max_length=2000, sensitivity="personal"
        ),
        Column("about", "string", "the title of the item it tells about; null for titles, and where no item is known"),
        Column("item_id", "string", "the smallest id of the items it was told of; null where no item is known"),
        Column("language", "string", "by script and stop words", required=True, one_of=("en", "zh", "other")),
        Column(
            "terms",
            "array<string>",
            "its words, of Chinese pairs of characters, without stop words",
            required=True,
            sensitivity="personal",
        ),
        Column("since", "date", "the first day on which it was known", required=True),
        Column("times", "bigint", "how many items, reviews or searches told it", required=True, minimum=1),
    ),
    keep_days=MONTH,
    key=("text_id",),
    least_share=0.5,
    rows=(("item_named", "kind = 'title' OR (about IS NULL) = (item_id IS NULL)"),),
)

TRENDS = Table(
    name="catalogue.trends",
    doc="How each item sells of late, and how often the same user takes it again; what relevance is moved by.",
    columns=(
        DAY,
        Column("item_id", "string", "of an item in behaviour.histories", required=True),
        *(
            Column(
                f"trend_{days}d",
                "double",
                f"events of behaviour.histories up to the night, each halving every {days} days",
                required=True,
                minimum=0,
            )
            for days in TREND_HALF_LIVES
        ),
        Column(
            "weeks", "bigint", "after the week in which a user first took it, over all users", required=True, minimum=0
        ),
        Column("weeks_again", "bigint", "of these, weeks in which the user took it again", required=True, minimum=0),
    ),
    keep_days=MONTH,
    key=("item_id",),
    least_share=0.5,
    rows=(("again_within_weeks", "weeks_again <= weeks"),),
)

ELASTICITIES = Table(
    name="catalogue.elasticities",
    doc="One row a category: how its items' weekly units go with their prices.",
    columns=(
        DAY,
        Column("category", "string", "as in catalogue.items of the night", required=True),
        Column(
            "elasticity",
            "double",
            "percent more units when the price of an item rises by one, shrunk to the mean of all categories; null "
            "where no category has an estimate",
        ),
        Column("estimate", "double", "by its own weeks alone; null where they say too little"),
        Column("error", "double", "standard error of estimate", above=0),
        Column("items", "bigint", "items that it rests on", required=True, minimum=0),
        Column("weeks", "bigint", "weeks with a sale of these, over all of them", required=True, minimum=0),
    ),
    keep_days=MONTH,
    key=("category",),
    rows=(("error_of_estimate", "(estimate IS NULL) = (error IS NULL)"),),
)

REVIEWS = Table(
    name="catalogue.reviews",
    doc="One row a review: its stars, and what its words say.",
    columns=(
        ARRIVED,
        Column("review_id", "string", "as in raw.reviews", required=True, sensitivity="pseudonymous"),
        USER,
        ITEM,
        Column("written", "date", "the day it was written, UTC", required=True),
        Column("rating", "double", "stars, 1 to 5", minimum=1, maximum=5),
        Column("language", "string", "by script and stop words; null without words", one_of=("en", "zh", "other")),
        Column(
            "sentiment",
            "double",
            "of its words: p(positive) - p(negative); by its stars: (rating - 3) / 2; null without words and stars",
            minimum=-1,
            maximum=1,
        ),
        Column(
            "confidence",
            "double",
            "probability of the likeliest of negative, neutral and positive; null by stars",
            minimum=0,
            maximum=1,
        ),
        Column("tone", "string", "what the model takes it for; by its stars: 1-2, 3, 4-5", one_of=SENTIMENTS),
        Column("source", "string", "what sentiment rests on; null without one", one_of=("model", "rating")),
        Column("model_version", "string", "MLflow version of the sentiment model; null by stars"),
    ),
    key=("review_id",),
    rows=(
        ("source_of_sentiment", "(source IS NULL) = (sentiment IS NULL)"),
        ("model_named", "(source <=> 'model') = (model_version IS NOT NULL)"),
    ),
)

TOPICS = Table(
    name="catalogue.topics",
    doc="One row a topic: what is bought and written about by the same people; none where too few people say anything.",
    columns=(
        DAY,
        Column("topic_id", "int", "the same from night to night, while the topic is", required=True, minimum=1),
        Column("topic", "string", "the terms that mark it most, such as: beef, cheese, soft drinks", required=True),
        Column(
            "terms",
            "map<string,double>",
            "probability of a term within the topic, the hundred most likely",
            required=True,
        ),
        Column("share", "double", "of all that the sampled users said", required=True, minimum=0, maximum=1),
        Column("moved", "double", "1 - cosine of its terms last night; null if new", minimum=0, maximum=1),
    ),
    keep_days=MONTH,
    key=("topic_id",),
)

TABLES = (ITEMS, TEXTS, TRENDS, ELASTICITIES, REVIEWS, TOPICS)


def tag_names(brand: str | None, path: list[str]) -> list[str]:
    """What an item shares with others, as training and scoring call it: its brand, and its categories."""
    return ([f"brand {brand}"] if brand else []) + [f"category {each}" for each in path]


def review_text(title: str | None, text: str | None) -> str:
    """What a sentiment model reads of a review: headline and body on one line; empty where there are no words."""
    headline, body = (" ".join((part or "").split()) for part in (title, text))
    if headline and body and headline[-1].isalnum():
        headline += "."
    told = f"{headline} {body}".strip()
    return told if any(letter.isalnum() for letter in told) else ""


def description(item_id: str, text: str, tags: list[str]) -> int:
    """A signed number of 64 bits that changes with whatever a model reads of an item."""
    told = "\x1f".join([item_id, text, *tags]).encode()
    return int.from_bytes(hashlib.sha256(told).digest()[:8], "little", signed=True)
