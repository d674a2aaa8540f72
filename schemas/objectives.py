"""The objectives that a list serves, stated once for training, scoring and judging; and how they are weighed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """One objective; higher is better for all of them. A weight for it has its name, and so has a column of the lists.

    Args:
        name: of the weight and the column.
        unit: before scaling.
        doc: what it is.
        measure: what it is judged by on days that are over, one of :data:`MEASURES`.
        label: what tells the truth of it, a column of ``lists.trials``; None where the item itself does.
        heavy: whether it has a heavy tail: then more than its 98th percentile counts for nothing.
    """

    name: str
    unit: str
    doc: str
    measure: str
    label: str | None = None
    heavy: bool = False


# what a click and a purchase are worth to the shopper
SATISFACTION = {"p_click": 0.3, "p_purchase": 0.7}

OBJECTIVES = (
    Objective("relevance", "1", "how well the item fits what the user does next: softmax share", "ndcg", "taken"),
    Objective(
        "satisfaction",
        "probability",
        "0.3 p(click | shown) + 0.7 p(purchase | shown), of what is known",
        "ndcg",
        "taken",
    ),
    Objective(
        "expected_revenue",
        "money",
        "what the user's next purchase is expected to bring by being the item: relevance x money of a purchase",
        "revenue",
        "paid",
        heavy=True,
    ),
    Objective(
        "margin",
        "money",
        "the part of expected_revenue that the item's cost leaves; 0 where it costs more than its price",
        "margin",
        "paid",
        heavy=True,
    ),
    Objective("novelty", "1", "the surprise of an item: 0 if everybody takes it, 1 if nobody does", "novelty"),
    Objective("fairness", "1", "1 for an item of a small supplier, 0 of a large one", "fairness"),
    Objective("diversity", "1 - cosine", "how unlike the item is to those above it in the list", "diversity"),
)
BY_NAME = {objective.name: objective for objective in OBJECTIVES}

# what a policy is judged by on days that are over, the shopper's first
MEASURES = {
    "ndcg": "NDCG of what the user then took",
    "revenue": "money that the user then paid for items of the list, for each up to the 99th percentile of all paid",
    "margin": "money that the user then paid for items of the list, less what they cost the shop",
    "novelty": "mean surprise of the list's items",
    "fairness": "share of the list's items that small suppliers made",
    "diversity": "mean, over the places below the first, of 1 - the largest cosine to an item above",
}

# of a night without a trial: there were no users with a past of seven days
WEIGHTS = {
    "relevance": 0.8,
    "satisfaction": 0.0,
    "expected_revenue": 0.1,
    "margin": 0.0,
    "novelty": 0.0,
    "fairness": 0.0,
    "diversity": 0.1,
}


@dataclass(frozen=True)
class Terms:
    """How the night chooses among the points of a front; a shop that wants otherwise changes this one place.

    Args:
        search: who finds the points: dual, grid or genetic.
        evaluations: policies it may try.
        way: nash, knee, constraint or fixed, see ``jobs.ranking.bargain``.
        floor: least share of the best NDCG that a point must keep.
        powers: how much each measure's party counts in the bargain.
        wanted: the measure that "constraint" makes the most of.
        fairness: least share of places that small suppliers get; 0 asks nothing.
        fixed: the weights of "fixed".
        step: how far weights may move from one night to the next, half the sum of absolute differences, and how far
            each parameter; the re-ranker changes when all else has arrived.
        prior: user-weeks at everybody's values that an audience is credited with before its own.
        half_life: days after which a trial counts half.
        reranking: parameters of ``jobs.ranking.rerank`` that the search may move beside the weights: ``dpp``,
            ``calibration``, ``category_share``; what isn't named is neutral.
    """

    search: str = "dual"
    evaluations: int = 180
    way: str = "nash"
    floor: float = 0.98
    powers: tuple[tuple[str, float], ...] = (
        ("ndcg", 1.0),
        ("revenue", 1.0),
        ("margin", 1.0),
        ("diversity", 0.5),
        ("novelty", 0.25),
        ("fairness", 0.25),
    )
    wanted: str = "revenue"
    fairness: float = 0.0
    fixed: tuple[tuple[str, float], ...] = tuple(WEIGHTS.items())
    step: float = 0.1
    prior: float = 3000.0
    half_life: float = 14.0
    reranking: tuple[str, ...] = ()


TERMS = Terms()


@dataclass(frozen=True)
class Exploring:
    """How much of the lists goes to items of which little is known.

    Args:
        way: thompson or upper_bound, see ``jobs.ranking.explore``.
        budget: expected places a list, from 0 to 1; they lie in its lower half.
        pool: candidates that may be tried, those with the highest upper bounds.
        prior: purchases that the model's own word about an item is worth.
        most: largest share of the lists' NDCG that it may cost, measured on days that are over: where the budget would
            cost more, it is cut to what doesn't.
        arrivals: share of the explored places that goes to items first seen within ARRIVED_DAYS, where a user has any.
    """

    way: str = "thompson"
    budget: float = 0.2
    pool: int = 16
    prior: float = 20.0
    arrivals: float = 0.5
    most: float = 0.02


ARRIVED_DAYS = 28
EXPLORING = Exploring()
