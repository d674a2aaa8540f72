"""Candidates in rows as matrices: one line a user, one column a candidate, with all that the lists weigh."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.lists.blocks import Block
from jobs.lists.named import ASKED, Named
from jobs.lists.popularity import Popularity
from jobs.ranking.blend import unit
from jobs.ranking.rerank import Tastes
from jobs.ranking.values import expected_revenue, margins, novelty, satisfaction, small_suppliers
from schemas.catalogue import TREND_HALF_LIVES, TREND_PRIOR
from schemas.objectives import ARRIVED_DAYS, SATISFACTION

TOLD = ("relevance", "p_click", "p_purchase", "spend")


@dataclass(frozen=True)
class Shelf:
    """What a list needs to know of the items of a block.

    Args:
        block: the items.
        units: float32 [items, d], relevance vectors of unit length without their last dimension: it carries the item's
            bias, which is how much it sells and not what it is.
        named: the numbers that rules know the items by, and their prices.
        titles: of the items.
        novelty: float64 [items].
        fairness: float64 [items], NaN where the brand is not known.
        margins: float64 [items], the part of its price that the cost leaves; NaN where unknown.
        seen: float64 [items], how often an item was taken of late, in counts that halve every month.
        arrived: bool [items], whether it was first seen within ARRIVED_DAYS, or is on sale and nobody touched it yet.
        popularity: of the items.
    """

    block: Block
    units: np.ndarray
    named: Named
    titles: list[str]
    novelty: np.ndarray
    fairness: np.ndarray
    margins: np.ndarray
    seen: np.ndarray
    arrived: np.ndarray
    popularity: Popularity

    @classmethod
    def pull(cls, vectors: DataFrame, items: DataFrame, histories: DataFrame, who: DataFrame, day: date) -> "Shelf":
        """The night's items that have a vector.

        Args:
            vectors: lists.vectors.
            items: catalogue.items.
            histories: behaviour.histories that may be counted.
            who: the users, as :func:`jobs.lists.asking.asking` has them.
            day: the night.
        """
        of_items = vectors.where("kind = 'item'").select(
            F.col("id").alias("item_id"), "vector", "sales_vector", "model_version"
        )
        since = F.lit(day - timedelta(days=ARRIVED_DAYS))
        arrived = F.when(F.col("first_seen").isNull(), F.col("on_sale")).otherwise(F.col("first_seen") > since)
        told = items.select("item_id", "title", "purchases_28d", "cost", arrived.alias("arrived"), *ASKED)
        block = Block.pull(of_items.join(told, "item_id", how="inner"))
        return cls.of(block, Popularity.pull(histories, who, block, day))

    @classmethod
    def of(cls, block: Block, popularity: Popularity) -> "Shelf":
        """Of a block with vector, sales_vector, title, purchases_28d, cost, arrived, and what rules read."""
        named = Named.of(block)
        sales = block.columns["purchases_28d"].fill_null(0).to_numpy().astype(np.float64)
        return cls(
            block,
            unit(block.matrix("vector")[:, :-1]),
            named,
            block.columns["title"].to_pylist(),
            novelty(popularity.shoppers[:, -1], popularity.histories),
            small_suppliers(named.goods.brands, sales),
            margins(named.goods.prices, block.columns["cost"].cast(pa.float64()).to_numpy()),
            _seen(block.matrix("sales_vector")),
            block.columns["arrived"].to_numpy(),
            popularity,
        )

    def require(self, version: str) -> None:
        """Raises ValueError if the night's vectors, and so its candidates, come from another model version."""
        others = set(self.block.columns["model_version"].unique().to_pylist()) - {version}
        if others:
            raise ValueError(
                f"lists.vectors: model_version is {min(others)!r}, but lists are asked for with {version!r}; "
                "make lists.vectors and lists.candidates again with it"
            )


def objectives(offers: pa.ListArray, shelf: Shelf, least: int = 0) -> tuple[np.ndarray, dict[str, np.ma.MaskedArray]]:
    """Positions int64 [n, c] of the candidates in the block, -1 for padding, and what is known of them.

    Args:
        offers: n lists of structs with item_id, relevance, p_click, p_purchase and spend.
        shelf: with all of these items.
        least: columns at least, so that an item may be pinned to any place of a list.

    Returns:
        Beside the positions, by objective but for diversity, and by p_click and p_purchase, float64 [n, c], masked
        where unknown.
    """
    flat, place = offers.flatten(), places(offers, least)
    positions = np.full(place.shape, -1, np.int64)
    positions[place] = shelf.block.positions(flat.field("item_id"))
    told = {name: matrix_of(flat.field(name), place) for name in TOLD}
    spend = told.pop("spend")
    price, new, small, left = (
        np.ma.array(np.nan_to_num(each[positions]), mask=~place | np.isnan(each[positions]))
        for each in (shelf.named.goods.prices, shelf.novelty, shelf.fairness, shelf.margins)
    )
    revenue = expected_revenue(told["relevance"], spend, price)
    pleased = satisfaction(told["p_click"], told["p_purchase"], SATISFACTION)
    return positions, {
        **told,
        "satisfaction": pleased,
        "expected_revenue": revenue,
        "margin": revenue * left,
        "novelty": new,
        "fairness": small,
    }


def liking(values: dict[str, np.ma.MaskedArray]) -> np.ndarray:
    """float64 [n, c]: how likely a user is to take a candidate: satisfaction, or relevance where that is unknown."""
    known = values["satisfaction"]
    return np.where(np.ma.getmaskarray(known), values["relevance"].filled(0.0), known.filled(0.0))


def tastes(positions: np.ndarray, pasts: pa.ListArray, shelf: Shelf) -> Tastes:
    """The categories of n users' candidates and pasts.

    Args:
        positions: int64 [n, c] of the candidates in the block; -1 for padding.
        pasts: n lists of item ids, null for a user without a past; what isn't in the block has no category.
    """
    categories = np.append(shelf.named.goods.categories, -1)  # of padding, too
    lengths = pasts.value_lengths().fill_null(0).to_numpy()
    past = categories[shelf.block.positions(pasts.flatten())]
    return Tastes.of(categories[positions], np.repeat(np.arange(len(positions)), lengths), past)


def places(offers: pa.ListArray, least: int = 0) -> np.ndarray:
    """bool [n, c]: where a user has a candidate; c is the longest list, or ``least``."""
    counts = offers.value_lengths().to_numpy()
    return np.arange(counts.max(initial=least)) < counts[:, None]


def matrix_of(values: pa.Array, place: np.ndarray) -> np.ma.MaskedArray:
    """float64 [n, c] of one value a candidate, masked where there is none or it is null."""
    out = np.full(place.shape, np.nan)
    out[place] = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.ma.masked_invalid(out)


def _seen(sales: np.ndarray) -> np.ndarray:
    """From float32 [items, w], the logarithms that the model reads of the trends, back to the slowest trend."""
    slowest = len(TREND_HALF_LIVES) - 1
    return TREND_PRIOR * np.expm1(sales[:, slowest].astype(np.float64)) if sales.shape[1] else np.zeros(len(sales))
