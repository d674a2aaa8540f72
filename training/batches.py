"""The micro-batches of a recipe."""

from training.data import Night
from training.microbatch import Batches
from training.nexts import Nexts
from training.private import PrivateWeeks
from training.recipe import Recipe
from training.secret import Secret
from training.weeks import Weeks


def batches(night: Night, recipe: Recipe, fresh_from: float | None = None, secret: Secret | None = None) -> Batches:
    """What the recipe learns to predict.

    Args:
        fresh_from: of "week", see :class:`Weeks`.
        secret: who says which users of a private recipe take part in a step.

    Raises:
        ValueError: if the night has nobody to learn from.
    """
    if secret:
        return PrivateWeeks(night, recipe, secret)
    return Weeks(night, recipe, fresh_from) if recipe.predict == "week" else Nexts(night, recipe)
