"""A surface's trials as matrices: what was offered, what came true, and how much each user counts."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.lists.offered import TOLD, Shelf, liking, matrix_of, objectives, places, tastes
from jobs.lists.trials import DAYS
from jobs.ranking.trial import Trial
from jobs.ranking.values import Scale, standing_in
from schemas.lists import Surface
from schemas.objectives import BY_NAME, MEASURES

PAID_CAP = 0.99  # quantile of what is paid for an item above which more counts for nothing


@dataclass(frozen=True)
class Held:
    """One line a user and trial.

    Args:
        trial: users and candidates, objectives scaled.
        scales: by objective that the data supports, but for diversity.
        counts: float64 [n], how much a line counts.
        audience: str [n].
        measures: that the data supports, the shopper's first.
        means: float64 [n, c], how likely the user was to take each candidate, see :func:`jobs.lists.offered.liking`.
    """

    trial: Trial
    scales: dict[str, Scale]
    counts: np.ndarray
    audience: np.ndarray
    measures: tuple[str, ...]
    means: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """Of the weights."""
        return (*self.scales, "diversity")

    @classmethod
    def of(cls, rows: pa.Table, shelf: Shelf, surface: Surface, day: date, half_life: float) -> "Held":
        """From rows of :func:`lines`."""
        offers = rows["offers"].combine_chunks()
        positions, values = objectives(offers, shelf)
        flat, place = offers.flatten(), places(offers)
        then = matrix_of(flat.field("novelty"), place)  # tonight's would count who took the item in the trial's week
        values["novelty"] = np.ma.where(np.ma.getmaskarray(then), values["novelty"], then)
        scales = scales_of(values, surface.length)
        paid = matrix_of(flat.field("paid"), place).filled(0.0)
        if (paid > 0).any():
            paid = np.minimum(paid, np.quantile(paid[paid > 0], PAID_CAP))
        known = {name: (~np.ma.getmaskarray(values[name])).any(axis=1) for name in scales}
        trial = Trial(
            standing_in({name: scale.scaled(values[name]) for name, scale in scales.items()}, known),
            shelf.units,
            positions,
            matrix_of(flat.field("taken"), place).filled(0.0).astype(bool),
            paid,
            rows["relevant"].to_numpy().astype(np.int64),
            surface.length,
            tastes(positions, rows["past"].combine_chunks(), shelf),
            paid * np.nan_to_num(shelf.margins[positions]) if "margin" in scales else None,
        )
        ages = (np.datetime64(day) - rows["day"].to_numpy().astype("datetime64[D]")).astype(np.int64)
        supported = {BY_NAME[name].measure for name in (*scales, "diversity")}
        if not paid.any():
            supported -= {"revenue", "margin"}
        measures = tuple(name for name in MEASURES if name in supported)
        audience = np.array(rows["audience"].to_pylist())
        return cls(trial, scales, 0.5 ** (ages / half_life), audience, measures, liking(values))


def lines(trials: DataFrame, vectors: DataFrame, audience: DataFrame, histories: DataFrame | None) -> DataFrame:
    """One row a surface, night and user: relevant, audience, offers as an array in the order of their ranks, and past.

    Args:
        trials: lists.trials.
        vectors: lists.vectors of tonight: what has none any more is left out of the offers.
        audience: user_id and audience; whoever is not in it is left out.
        histories: behaviour.histories, for ``past``, the items that the user had taken before the trial's week; None
            where nothing asks for them, and ``past`` is null.
    """
    still = vectors.where("kind = 'item'").select(F.col("id").alias("item_id"))
    offer = F.struct("rank", "item_id", *TOLD, "novelty", "taken", "paid")
    offers = (
        trials.join(still, "item_id", how="left_semi")
        .groupBy("surface", "day", "user_id", "relevant")
        .agg(F.sort_array(F.collect_list(offer)).alias("offers"))
        .join(audience, "user_id", how="inner")
    )
    if histories is None:
        return offers.withColumn("past", F.lit(None).cast("array<string>"))
    cut = F.date_sub("day", DAYS - 1).cast("timestamp")
    before = F.size(F.filter("times", lambda time: time < cut))
    past = F.slice("item_ids", F.lit(1), before).alias("past")
    known = offers.join(histories.select("user_id", "item_ids", "times"), "user_id", how="left")
    return known.select(*offers.columns, past)


def scales_of(values: dict[str, np.ma.MaskedArray], length: int) -> dict[str, Scale]:
    """Of the objectives that are known of anybody, in the order of the contract; shares stay what they are."""
    known = {name: values[name] for name in BY_NAME if name in values and not np.ma.getmaskarray(values[name]).all()}
    return {
        name: Scale.of(each, length, heavy=BY_NAME[name].heavy) if BY_NAME[name].label else Scale(1.0, np.inf)
        for name, each in known.items()
    }
