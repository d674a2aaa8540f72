"""Lists: vectors, candidates, and the public table."""

from dataclasses import dataclass, replace

from schemas.behaviour import ITEM, USER
from schemas.contract import DAY, MONTH, PSEUDONYM, QUARTER, WEEK, YEAR, Column, Table
from schemas.control import RULE_ACTIONS
from schemas.control import RULES as RAW_RULES


@dataclass(frozen=True)
class Surface:
    """Where a list is shown. ``repeat`` puts items already bought back in, as groceries want."""

    name: str
    length: int
    candidates: int
    repeat: bool


SURFACES = (Surface("home", length=10, candidates=200, repeat=True),)

RULE_STATES = ("active", "not_yet", "over", "names_nothing", "overridden")
AS_WRITTEN = (
    "surface",
    "item_id",
    "brand",
    "category",
    "segment",
    "value",
    "low",
    "high",
    "start_day",
    "end_day",
    "campaign_id",
)  # the columns of raw.rules that lists.rules carries on

SURFACE = Column("surface", "string", "where the list is shown", required=True)
VERSION = Column("model_version", "string", "MLflow model version", required=True)
RANK = Column("rank", "int", "1-based, no gaps", required=True, minimum=1)
RELEVANCE = Column(
    "relevance", "double", "softmax share over the user's candidates", required=True, minimum=0, maximum=1
)
P_PURCHASE = Column(
    "p_purchase", "double", "p(purchase | shown); null where no exposures are known", minimum=0, maximum=1
)

P_CLICK = Column("p_click", "double", "p(click | shown); null where the source has no clicks", minimum=0, maximum=1)
LOGIT = (
    "the sigmoid of the inner product, plus relevance before the softmax times a user's last entry, which items lack; "
    "empty where none are known"
)

VECTORS = Table(
    name="lists.vectors",
    doc="The night's user and item vectors under one model version.",
    columns=(
        DAY,
        Column("kind", "string", "user or item", required=True, one_of=("user", "item")),
        Column("id", "string", "user_id or item_id", required=True, person=PSEUDONYM, sensitivity="pseudonymous"),
        Column(
            "vector",
            "array<float>",
            "for relevance: the inner product of a user's and an item's",
            required=True,
            sensitivity="pseudonymous",
        ),
        Column(
            "click_vector", "array<float>", f"for p(click | shown): {LOGIT}", required=True, sensitivity="pseudonymous"
        ),
        Column(
            "purchase_vector",
            "array<float>",
            f"for p(purchase | click), or p(purchase | shown) where no clicks are known: {LOGIT}",
            required=True,
            sensitivity="pseudonymous",
        ),
        Column(
            "spend_vector",
            "array<float>",
            "for the money that a purchase brings: the exponential of the inner product; empty where none is known",
            required=True,
            sensitivity="pseudonymous",
        ),
        Column(
            "sales_vector",
            "array<float>",
            "of an item: logarithms of its catalogue.trends and of how often it is bought again; a user's repeats are "
            "judged by it; a user's is empty",
            required=True,
        ),
        Column("bias", "float", "of an item: the vector's last entry before tonight's trends were added"),
        Column(
            "variety",
            "double",
            "of a user: mean distance, by categories, of what they take next; null where none are known",
            minimum=0,
            maximum=1,
        ),
        Column(
            "repeats",
            "map<string,float>",
            "of a user: what an item bought before scores above the inner product",
            required=True,
            sensitivity="pseudonymous",
        ),
        VERSION,
    ),
    keep_days=WEEK,
    key=("kind", "id"),
    may_be_empty=False,
)

SPEND = Column(
    "spend",
    "double",
    "money that a purchase by this user brings, drawn to what it brought before; null where no amounts are known",
    minimum=0,
)
# what held the weights: the bounded step; the floor, under which last night's fell; a step back to last night's
RAILS = ("none", "step", "floor", "back")

CANDIDATES = Table(
    name="lists.candidates",
    doc="The best items of each user by relevance, before blending.",
    columns=(
        DAY,
        SURFACE,
        USER,
        ITEM,
        RANK,
        RELEVANCE,
        P_CLICK,
        P_PURCHASE,
        SPEND,
        Column(
            "policy",
            "string",
            "model, or popular for users without a history or who want no personalisation or profile",
            required=True,
        ),
        VERSION,
    ),
    keep_days=MONTH,
    key=("surface", "user_id", "item_id"),
    partition=("day", "surface"),
    may_be_empty=False,
)

TRIALS = Table(
    name="lists.trials",
    doc="What tonight's model would have offered a sample of users a week ago, and what they then took.",
    columns=(
        DAY,
        SURFACE,
        USER,
        ITEM,
        RANK,
        RELEVANCE,
        P_CLICK,
        P_PURCHASE,
        SPEND,
        Column("policy", "string", "as in lists.candidates", required=True),
        Column("novelty", "double", "as in lists.recommendations, before the seven days", minimum=0, maximum=1),
        Column("taken", "boolean", "whether the user took the item in the seven days up to the night", required=True),
        Column("paid", "double", "money that the user paid for it then", required=True, minimum=0),
        Column("relevant", "int", "items that the user took then, offered or not", required=True, minimum=1),
        VERSION,
    ),
    keep_days=QUARTER,
    key=("surface", "user_id", "item_id"),
    partition=("day", "surface"),
)

FRONT = Table(
    name="lists.front",
    doc="Policies tried for each audience, what their lists had on days that are over, and which makes tonight's.",
    columns=(
        DAY,
        SURFACE,
        Column(
            "audience",
            "string",
            "whose lists: everybody, or users alike in loyalty, bargains and variety",
            required=True,
        ),
        Column("point", "int", "of the audience; 0 is the one that makes the lists", required=True, minimum=0),
        Column("chosen", "boolean", "whether it makes the lists", required=True),
        Column("efficient", "boolean", "whether no other point beats it: it is on the front", required=True),
        Column("weights", "map<string,double>", "by objective; they sum to 1", required=True),
        Column(
            "reranker",
            "string",
            "how the weight of diversity is counted: mmr, 1 - the largest cosine to an item above; dpp, the logarithm "
            "of what an item's vector has apart from all of these",
            one_of=("mmr", "dpp"),
        ),
        Column(
            "calibration",
            "double",
            "units of score that a nat of divergence from the categories of the user's history costs; 0: nothing",
            minimum=0,
        ),
        Column(
            "category_share",
            "double",
            "largest share of a list that one category may have; 1: any",
            above=0,
            maximum=1,
        ),
        Column("measures", "map<string,double>", "what its lists had, see schemas.objectives.MEASURES", required=True),
        Column(
            "users", "double", "user-weeks that it was tried on, recent ones counting more", required=True, minimum=0
        ),
        Column(
            "search", "string", "who found it: dual, grid, genetic, fixed; last night; or bounded step", required=True
        ),
        Column(
            "units", "map<string,double>", "by objective, what its values are divided by before weighing", required=True
        ),
        Column(
            "caps", "map<string,double>", "by objective, the value above which more counts for nothing", required=True
        ),
        Column(
            "hypervolume",
            "double",
            "of the audience's front, over that of a point best in everything",
            minimum=0,
            maximum=1,
        ),
        Column("spacing", "double", "of the audience's front: 0 is even", minimum=0),
        Column(
            "gain_share",
            "double",
            "expected revenue that the choice adds to the most relevant lists, over the most that any lists as "
            "relevant as its own could add",
            maximum=1,
        ),
        Column(
            "moved",
            "double",
            "half the sum of the weights' changes since last night, or the largest change of calibration or "
            "category_share if that is more; null on the first",
            minimum=0,
            maximum=1,
        ),
        Column(
            "explored",
            "double",
            "of everybody's choice: expected places a list that are explored; null of all others",
            minimum=0,
            maximum=1,
        ),
        Column(
            "explored_cost",
            "double",
            "share of the NDCG that these cost, expected, on the days that are over; below 0 if they add to it; null "
            "where nothing was tried",
            maximum=1,
        ),
        Column("rail", "string", "none, or the guard rail that held the weights", required=True, one_of=RAILS),
        Column("told", "string", "what was chosen and why, in words", required=True),
    ),
    keep_days=YEAR,
    key=("surface", "audience", "point"),
    may_be_empty=False,
    rows=(
        ("weights_sum_to_1", "abs(aggregate(map_values(weights), 0D, (a, w) -> a + w) - 1) < 1e-6"),
        ("chosen_first", "chosen = (point = 0)"),
        (
            "reranking_told",  # not required of the table: nights from before these columns are read as neutral
            "reranker IS NOT NULL AND calibration IS NOT NULL AND category_share IS NOT NULL",
        ),
    ),
)

RECOMMENDATIONS = Table(
    name="lists.recommendations",
    doc="The public table: the lists that shops show.",
    columns=(
        Column("day", "date", "the night it was made for; data up to and including this day was used", required=True),
        SURFACE,
        USER,
        RANK,
        ITEM,
        Column("score", "double", "the blended value that ordered the list", required=True),
        RELEVANCE,
        P_CLICK,
        P_PURCHASE,
        Column(
            "satisfaction",
            "double",
            "0.3 p_click + 0.7 p_purchase, of what is known; null without either",
            minimum=0,
            maximum=1,
        ),
        Column(
            "expected_revenue",
            "double",
            "relevance x money that a purchase brings, the price where that is unknown; null without either",
            minimum=0,
        ),
        Column(
            "margin",
            "double",
            "the part of expected_revenue that the item's cost leaves; null where the source tells no cost",
            minimum=0,
        ),
        Column(
            "novelty", "double", "surprise: 0 for what everybody takes, 1 for what nobody does", minimum=0, maximum=1
        ),
        Column("fairness", "double", "1 for an item of a small supplier, 0 of a large one; null without a brand"),
        Column(
            "diversity",
            "double",
            "1 - largest cosine to the items above, 1 for the first",
            required=True,
            minimum=0,
            maximum=2,
        ),
        Column("weights", "map<string,double>", "the weights used for this user; they sum to 1", required=True),
        Column(
            "reason",
            "string",
            "one sentence a shopper could read",
            required=True,
            max_length=300,
            sensitivity="pseudonymous",
        ),
        Column(
            "rules",
            "array<string>",
            "rules (rule_id) and preferences (name) that moved this row; empty if none did",
            required=True,
        ),
        Column(
            "propensity",
            "double",
            "probability that the policy shows this item at this rank",
            required=True,
            above=0,
            maximum=1,
        ),
        Column("policy", "string", "which arm made the list", required=True),
        VERSION,
        Column("run_id", "string", "MLflow run of the model", required=True),
    ),
    keep_days=YEAR,
    key=("surface", "user_id", "rank"),
    partition=("day", "surface"),
    least_share=0.5,
    may_be_empty=False,
    rows=(
        ("weights_sum_to_1", "abs(aggregate(map_values(weights), 0D, (a, w) -> a + w) - 1) < 1e-6"),
        ("score_is_a_number", "NOT isnan(score)"),
    ),
)

STAGED = replace(
    RECOMMENDATIONS,
    name="lists.staged",
    doc="Tonight's lists before the audit; lists.recommendations is what passed.",
    keep_days=WEEK,
)

RULES = Table(
    name="lists.rules",
    doc="Tonight's business rules after resolution: which hold, what they name, and which gave way to which.",
    columns=(
        DAY,
        Column("rule_id", "string", "as in raw.rules", required=True),
        Column("action", "string", "as in raw.rules", required=True, one_of=RULE_ACTIONS),
        Column("state", "string", "whether it holds tonight", required=True, one_of=RULE_STATES),
        Column("items", "bigint", "items on sale that it names", required=True, minimum=0),
        Column("told", "string", "why it is in this state, in one sentence", required=True),
        *(column for column in RAW_RULES.columns if column.name in AS_WRITTEN),
    ),
    keep_days=YEAR,
    key=("rule_id",),
)

TABLES = (RULES, VECTORS, CANDIDATES, TRIALS, FRONT, STAGED, RECOMMENDATIONS)
