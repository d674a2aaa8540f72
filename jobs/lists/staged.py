"""Tonight's lists before the audit: candidates blended by the weights of :mod:`schemas.objectives`, under the rules."""

from datetime import date
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.lists.asking import agreed, asking
from jobs.lists.blocks import Block, spread
from jobs.lists.choice import CHOSEN, Shelf, chooser
from jobs.lists.house import House
from jobs.lists.named import ASKED, in_force
from jobs.lists.popularity import Popularity
from jobs.model import Model
from jobs.reads import model as version
from jobs.reads import on
from schemas.lists import SURFACES

READS = {
    "candidates": on("lists.candidates"),
    "vectors": on("lists.vectors"),
    "items": on("catalogue.items"),
    "histories": on("behaviour.histories"),
    "users": on("profiles.users"),
    "rules": on("lists.rules"),
    "preferences": on("profiles.preferences"),
    "model": version(),
}


def staged(
    candidates: DataFrame,
    vectors: DataFrame,
    items: DataFrame,
    histories: DataFrame,
    users: DataFrame,
    rules: DataFrame,
    preferences: DataFrame,
    model: Model,
    *,
    day: date,
) -> DataFrame:
    """The lists of every surface, with their objectives, weights and reasons.

    The choice is deterministic, so ``propensity`` is 1.
    """
    of_items = vectors.where("kind = 'item'").select(F.col("id").alias("item_id"), "vector", "model_version")
    block = Block.pull(of_items.join(items.select("item_id", "title", *ASKED), "item_id", how="inner"))
    _same_version(block, model)
    who = asking(users, preferences)
    histories = agreed(histories, who)
    shelf = Shelf.of(block, Popularity.pull(histories, who, block, day))
    offers, holding = _offers(candidates, histories, who), in_force(rules)
    chosen = [
        spread(offers.where(F.col("surface") == surface.name), "user_id")
        .mapInArrow(chooser(shelf, House.of(shelf.named, holding, surface.name), surface.length, day), CHOSEN)
        .withColumn("surface", F.lit(surface.name))
        for surface in SURFACES
    ]
    return reduce(DataFrame.unionByName, chosen).withColumns(
        {
            "day": F.lit(day),
            "propensity": F.lit(1.0),
            "model_version": F.lit(model.version),
            "run_id": F.lit(model.run_id),
        }
    )


def _same_version(block: Block, model: Model) -> None:
    """Raises ValueError if the night's vectors, and so its candidates, come from another model version."""
    others = set(block.columns["model_version"].unique().to_pylist()) - {model.version}
    if others:
        raise ValueError(
            f"lists.vectors: model_version is {min(others)!r}, but lists are asked for with {model.version!r}; "
            "make lists.vectors and lists.candidates again with it"
        )


def _offers(candidates: DataFrame, histories: DataFrame, who: DataFrame) -> DataFrame:
    """One row a surface and user: the candidates in order, beside what rules ask of the user, and the history."""
    offer = F.struct("rank", "item_id", "relevance", "p_click", "p_purchase", "spend")
    return (
        candidates.groupBy("surface", "user_id", "policy")
        .agg(F.sort_array(F.collect_list(offer)).alias("offers"))
        .join(who, "user_id", how="inner")
        .join(histories.select("user_id", "item_ids", "times"), "user_id", how="left")
    )
