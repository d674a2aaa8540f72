"""Tonight's lists before the audit: candidates blended by the weights of ``lists.front``, under the rules."""

from dataclasses import dataclass
from datetime import date
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.lists.asking import agreed, asking
from jobs.lists.audiences import audiences
from jobs.lists.blocks import spread
from jobs.lists.choice import CHOSEN, chooser
from jobs.lists.house import House
from jobs.lists.named import in_force
from jobs.lists.offered import Shelf
from jobs.lists.weighed import Weighed
from jobs.model import Model
from jobs.reads import model as version
from jobs.reads import on
from schemas.lists import SURFACES, Surface

EXACT = "decimal(18,12)"  # adds up to the same in any order, doubles don't, and a rerun must give the same lists
READS = {
    "candidates": on("lists.candidates"),
    "vectors": on("lists.vectors"),
    "items": on("catalogue.items"),
    "histories": on("behaviour.histories"),
    "users": on("profiles.users"),
    "rules": on("lists.rules"),
    "preferences": on("profiles.preferences"),
    "front": on("lists.front"),
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
    front: DataFrame,
    model: Model,
    *,
    day: date,
) -> DataFrame:
    """The lists of every surface, with their objectives, weights and reasons.

    A rerun draws the same places to explore; ``propensity`` is how likely such a draw is.
    """
    given = (candidates, vectors, items, histories, users, rules, preferences, front)
    chosen = [
        spread(desk.offers, "user_id")
        .mapInArrow(chooser(desk.shelf, desk.house, desk.weighed, desk.surface, day), CHOSEN)
        .withColumn("surface", F.lit(desk.surface.name))
        for desk in desks(*given, version=model.version, day=day)
    ]
    return reduce(DataFrame.unionByName, chosen).withColumns(
        {"day": F.lit(day), "model_version": F.lit(model.version), "run_id": F.lit(model.run_id)}
    )


@dataclass(frozen=True)
class Desk:
    """Where the lists of a surface are made.

    Args:
        surface: whose lists.
        offers: one row a user, as :func:`jobs.lists.choice.chooser` reads it.
        shelf, house, weighed: what it closes over.
    """

    surface: Surface
    offers: DataFrame
    shelf: Shelf
    house: House
    weighed: Weighed


def desks(
    candidates: DataFrame,
    vectors: DataFrame,
    items: DataFrame,
    histories: DataFrame,
    users: DataFrame,
    rules: DataFrame,
    preferences: DataFrame,
    front: DataFrame,
    *,
    version: str,
    day: date,
) -> list[Desk]:
    """One of each surface, from the same tables as :func:`staged`.

    Raises:
        ValueError: if the vectors are of another model version than ``version``.
    """
    who = asking(users, preferences)
    histories = agreed(histories, who)
    shelf = Shelf.pull(vectors, items, histories, who, day)
    shelf.require(version)
    own = vectors.where("kind = 'user'").select(F.col("id").alias("user_id"), "variety")
    offers = _offers(candidates, histories, who.join(_tastes(users, own, who), "user_id", how="left"))
    variety, holding = own.agg(F.avg(F.col("variety").cast(EXACT)).cast("double")).first()[0], in_force(rules)
    return [
        Desk(
            surface,
            offers.where(F.col("surface") == surface.name),
            shelf,
            House.of(shelf.named, holding, surface.name),
            Weighed.of(front, surface.name, variety),
        )
        for surface in SURFACES
    ]


def _tastes(users: DataFrame, own: DataFrame, who: DataFrame) -> DataFrame:
    """user_id, audience and variety of those who want personalisation."""
    personal = who.where("personal").select("user_id")
    return audiences(users).join(personal, "user_id", how="left_semi").join(own, "user_id", how="left")


def _offers(candidates: DataFrame, histories: DataFrame, who: DataFrame) -> DataFrame:
    """One row a surface and user: the candidates in order, beside what rules ask of the user, and the history."""
    offer = F.struct("rank", "item_id", "relevance", "p_click", "p_purchase", "spend")
    return (
        candidates.groupBy("surface", "user_id", "policy")
        .agg(F.sort_array(F.collect_list(offer)).alias("offers"))
        .join(who, "user_id", how="inner")
        .join(histories.select("user_id", "item_ids", "times"), "user_id", how="left")
    )
