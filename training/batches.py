"""The micro-batches of a recipe."""

from training.data import Night
from training.microbatch import Batches
from training.nexts import Nexts
from training.recipe import Recipe
from training.weeks import Weeks


def batches(night: Night, recipe: Recipe) -> Batches:
    """What the recipe learns to predict.

    Raises:
        ValueError: if the night has nobody to learn from.
    """
    return {"week": Weeks, "next": Nexts}[recipe.predict](night, recipe)
