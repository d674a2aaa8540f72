"""The objectives a list serves, stated once: names, meaning, and the weights that blend them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """One objective: higher is better for all of them; ``unit`` is the unit before scaling to [0, 1] per user."""

    name: str
    unit: str
    doc: str


OBJECTIVES = (
    Objective("relevance", "1", "how well the item fits what the user does next: softmax share over the candidates"),
    Objective("p_click", "probability", "p(click | shown); absent where the source has no clicks"),
    Objective("p_purchase", "probability", "p(purchase | shown); absent where no exposures are known"),
    Objective(
        "expected_revenue",
        "money",
        "p(purchase | shown) x what a purchase brings; falls back on relevance and on the price",
    ),
    Objective("diversity", "1 - cosine", "how unlike the item is to those above it in the list"),
)

# The one place the plain weighted sum takes its weights from. They sum to 1.
WEIGHTS = {"relevance": 0.7, "expected_revenue": 0.2, "diversity": 0.1}
