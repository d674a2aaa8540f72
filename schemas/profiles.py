"""Profiles: who the shopper is."""

from schemas.behaviour import USER
from schemas.contract import DAY, QUARTER, WEEK, Column, Table
from schemas.control import SEGMENTS, WISHES
from schemas.exports import USER_COHORTS

RECENT = 91  # days: thirteen weeks, of segment, frequency and value
NEW, OCCASIONAL = 4, 12  # most recent baskets of a new and of an occasional shopper
LATELY = 7  # days of short-term intent, and of what a half-life has to foretell
HALF_LIVES, HALF_LIFE = (28, 91, 364), 91  # days, of favourites: those to choose among, and the usual one
PARTS_OF_DAY = ("night", "morning", "afternoon", "evening")  # six hours each, from midnight UTC
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

TOTALS = Table(
    name="profiles.totals",
    doc="What profiles.users is made of, one row a user of the log: totals that the next night goes on from.",
    columns=(
        DAY,
        USER,
        Column("refused", "boolean", "whether they want no profile: then nothing else is kept", required=True),
        Column("events", "bigint", "events ever", required=True, minimum=0),
        Column("purchases", "bigint", "purchase lines ever", required=True, minimum=0),
        Column("first_day", "date", "first event"),
        Column("last_day", "date", "last event"),
        Column("discount", "decimal(28,4)", "money taken off, of purchase lines that tell amount and discount"),
        Column("shelf", "decimal(28,4)", "amount + discount of these lines"),
        Column(
            "baskets",
            "array<struct<began:timestamp,basket:bigint,last:date>>",
            "ever: first line, 64-bit hash of the basket (or session where there is none), last day; oldest first",
            required=True,
            sensitivity="pseudonymous",
        ),
        Column(
            "visits",
            "array<struct<day:date,lines:bigint,money:decimal(18,4)>>",
            "every day with a purchase or a return: purchase lines, and what was paid less what was given back, null "
            "where the source tells no amount; oldest first",
            required=True,
            sensitivity="pseudonymous",
        ),
        Column(
            "recent",
            "array<struct<item_id:string,day:date,lines:bigint,looks:bigint>>",
            f"of the last {LATELY} days: purchase lines, and views, carts, reviews and clicks",
            required=True,
            sensitivity="pseudonymous",
        ),
        Column(
            "items",
            "array<struct<item_id:string,lines:bigint,settled:date,weights:array<double>>>",
            "purchase lines before that, and what they weighed on the day the last of them settled, for half-lives of "
            f"{', '.join(map(str, HALF_LIVES))} days",
            required=True,
            sensitivity="pseudonymous",
        ),
        Column(
            "prices",
            "array<struct<item_id:string,told:bigint,discounted:bigint,priced:bigint,"
            "logs:decimal(18,9),squares:decimal(18,9)>>",
            "ever: purchase lines that tell amount and discount, those of them with a discount, those with a unit "
            "price, and the sums of its logarithm and of the square of that",
            required=True,
            sensitivity="pseudonymous",
        ),
    ),
    keep_days=WEEK,
    key=("user_id",),
    least_share=0.5,
)

USERS = Table(
    name="profiles.users",
    doc="One row a user of the log or of the shop's user list; of who wants no profile, the pseudonym alone.",
    columns=(
        DAY,
        USER,
        Column(
            "segment",
            "string",
            f"by baskets of the last {RECENT} days: 0, 1 to {NEW}, {NEW + 1} to {OCCASIONAL}, more",
            required=True,
            one_of=SEGMENTS,
        ),
        Column(
            "attributes",
            "map<string,string>",
            "as the shop knows them; empty where it doesn't",
            required=True,
            sensitivity="sensitive",
        ),
        Column("events", "bigint", "events ever", required=True, minimum=0),
        Column("purchases", "bigint", "purchase lines ever", required=True, minimum=0),
        Column("baskets", "bigint", "baskets ever", required=True, minimum=0),
        Column("first_day", "date", "first event"),
        Column("last_day", "date", "last event"),
        Column("recency_days", "int", "days since the last purchase", minimum=0),
        Column("frequency", "double", "baskets a week over the last 91 days", required=True, minimum=0),
        Column("value", "double", "money spent in the last 91 days", required=True, minimum=0),
        Column("price_level", "double", "mean price rank within the category, 0 cheapest to 1", minimum=0, maximum=1),
        Column("discount_share", "double", "discount / (amount + discount)", minimum=0, maximum=1),
        Column(
            "discount_elasticity",
            "double",
            "log odds that a line was bought at a discount less those of all users in the same categories, shrunk to "
            "0, what all do; null where no line tells both, or all of these categories' lines are alike",
        ),
        Column(
            "price_elasticity",
            "double",
            "by how many percent they buy more when a price rises by one (so mostly negative): that of their "
            "categories, and how far below or above others they pay for the same items, shrunk; null without prices",
        ),
        Column(
            "categories",
            "map<string,double>",
            "share of decayed purchases, the ten largest",
            required=True,
            sensitivity="pseudonymous",
        ),
        Column(
            "brands",
            "map<string,double>",
            "share of decayed purchases, the ten largest",
            required=True,
            sensitivity="pseudonymous",
        ),
        Column("variety", "double", "entropy of the categories bought / its maximum, 0 to 1", minimum=0, maximum=1),
        Column(
            "intent",
            "map<string,double>",
            f"category share of what was bought or looked at in the last {LATELY} days, the ten largest",
            sensitivity="pseudonymous",
        ),
        Column(
            "half_life_days",
            "int",
            f"of categories and brands: of {', '.join(map(str, HALF_LIVES))} the one by which what was bought before "
            "foretells the last week's categories best; null of who bought and looked at nothing with either",
            minimum=1,
        ),
        Column(
            "parts_of_day",
            "map<string,double>",
            "share of baskets by when they began: night 0 to 6 UTC, morning, afternoon, evening 18 to 24",
        ),
        Column("weekdays", "map<string,double>", "share of baskets by UTC weekday"),
        Column("cadence_days", "double", "median of the days between days with a purchase; null of one", minimum=1),
        Column("due_day", "date", "last purchase + cadence_days: when the next visit is due, or was"),
    ),
    keep_days=QUARTER,
    key=("user_id",),
    least_share=0.5,
    may_be_empty=False,
)

PREFERENCES = Table(
    name="profiles.preferences",
    doc="What shoppers asked of their own lists, one row a wish.",
    columns=(
        DAY,
        USER,
        Column("preference", "string", "the wish", required=True, one_of=WISHES),
        Column("value", "string", "less_brand, less_category: its name, as in catalogue.items; null for the others"),
    ),
    keep_days=QUARTER,
    key=("user_id", "preference", "value"),
)

CUSTOMERS = Table(
    name="profiles.customers",
    doc="One row a user with a purchase: what they bought so far, and what to expect of them.",
    columns=(
        DAY,
        USER,
        Column("first_day", "date", "first day with a purchase", required=True),
        Column("recency_days", "int", "days from the last day with a purchase to the night", required=True, minimum=0),
        Column("frequency", "int", "days with a purchase after the first one (x)", required=True, minimum=0),
        Column("age_days", "int", "days from the first day with a purchase to the night (T)", required=True, minimum=0),
        Column(
            "monetary",
            "double",
            "money a day of those in frequency, less returns, at least 0; null without one, or without amounts",
            minimum=0,
        ),
        Column("p_alive", "double", "BG/NBD: probability of not having left for good", minimum=0, maximum=1),
        Column("expected_purchases_90d", "double", "days with a purchase in the next 90 days", minimum=0),
        Column("expected_spend_90d", "double", "money in the next 90 days", minimum=0),
        Column(
            "lifetime_value",
            "double",
            "money of the next 365 days by BG/NBD and gamma-gamma, at 10 % a year discounted month by month",
            minimum=0,
        ),
        Column("loyalty", "double", "share of the last 26 weeks with a purchase", required=True, minimum=0, maximum=1),
        Column("p_churn", "double", "probability of no purchase in the next 28 days", minimum=0, maximum=1),
        Column("next_purchase_day", "date", "the day by which the next purchase is as likely as not"),
    ),
    keep_days=QUARTER,
    key=("user_id",),
    least_share=0.5,
    rows=(("within_age", "recency_days + frequency <= age_days"),),
)

SEGMENTED = Table(
    name="profiles.segments",
    doc="One row a customer: the group of those who buy alike, and how it moved since last night.",
    columns=(
        DAY,
        USER,
        Column("segment_id", "int", "the same from night to night, while the group is", required=True, minimum=1),
        Column("segment", "string", "what marks the group, such as: high value, bargain, frequent", required=True),
        Column("previous_id", "int", "the user's segment_id of last night; null without one", minimum=1),
        Column("distance", "double", "to the group's centre, in standard deviations", required=True, minimum=0),
        Column(
            "centre",
            "map<string,double>",
            "of the group: log(1 + x) of recency, frequency and monetary; variety, price_level, discount_share",
            required=True,
        ),
        Column("moved", "double", "of the centre since last night, in standard deviations; null if new", minimum=0),
        Column(
            "changed",
            "double",
            "of all users with a segment on both nights, the share in another",
            minimum=0,
            maximum=1,
        ),
        Column("silhouette", "double", "how well the groups part; null where all are one", minimum=-1, maximum=1),
    ),
    keep_days=QUARTER,
    key=("user_id",),
    least_share=0.5,
)

DEMOGRAPHICS = Table(
    name="profiles.demographics",
    doc="One row a user and attribute of raw.users: known, or predicted; for analysts, no list is made by it.",
    columns=(
        DAY,
        USER,
        Column("attribute", "string", "the shop's name of it, such as age or income", required=True),
        Column(
            "value",
            "string",
            "as the shop has it, or the likeliest; null where predictions aren't better than the most frequent value",
            sensitivity="sensitive",
        ),
        Column("source", "string", "who says so; null without a value", one_of=("known", "predicted")),
        Column(
            "probability",
            "double",
            "of a predicted value, calibrated; null of others",
            minimum=0,
            maximum=1,
            sensitivity="sensitive",
        ),
        Column(
            "accuracy",
            "double",
            "share of known people left out whose value was predicted right; null where too few are known",
            minimum=0,
            maximum=1,
        ),
        Column("most_frequent", "double", "the same, of telling all the most frequent value", minimum=0, maximum=1),
        Column(
            "people", "bigint", "who bought something and of whom it is known, at most 10,000", required=True, minimum=0
        ),
    ),
    keep_days=QUARTER,
    key=("user_id", "attribute"),
    rows=(
        ("source_of_value", "(source IS NULL) = (value IS NULL)"),
        ("probability_of_predicted", "(source <=> 'predicted') = (probability IS NOT NULL)"),
    ),
)

SENTIMENTS = Table(
    name="profiles.sentiments",
    doc="What a user's reviews say of each category; nobody who wants no profile.",
    columns=(
        DAY,
        USER,
        Column("category", "string", "as in catalogue.items of the night", required=True),
        Column("sentiment", "double", "mean over the reviews", required=True, minimum=-1, maximum=1),
        Column("reviews", "bigint", "reviews with a sentiment", required=True, minimum=1),
        Column("last_written", "date", "day of the latest of them", required=True),
    ),
    keep_days=QUARTER,
    key=("user_id", "category"),
)

TOPICS = Table(
    name="profiles.topics",
    doc="Each user's share in each topic of catalogue.topics, by what they bought and wrote.",
    columns=(
        DAY,
        USER,
        Column("topic_id", "int", "the user's largest, as in catalogue.topics", required=True, minimum=1),
        Column("topic", "string", "its name", required=True),
        Column(
            "shares",
            "map<int,double>",
            "of each topic_id; they sum to 1 but for rounding",
            required=True,
            sensitivity="pseudonymous",
        ),
    ),
    keep_days=QUARTER,
    key=("user_id",),
)

TABLES = (PREFERENCES, TOTALS, USERS, CUSTOMERS, SEGMENTED, DEMOGRAPHICS, SENTIMENTS, TOPICS, USER_COHORTS)
