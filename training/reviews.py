"""Rated reviews as the sentiment model reads them, and which of them are held out."""

import hashlib
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from schemas.catalogue import SENTIMENTS, review_text
from training.lake import open_table, table_uri

TABLE, WISHES = "raw.reviews", "raw.preferences"
COLUMNS = ["day", "review_id", "user_id", "ts", "rating", "title", "text"]
HELD_OUT, KEPT = 0.2, 0.1  # shares: the newest, which measure; those before them, which calibrate
LEAST = 10  # reviews of each class in each part


class TooFewReviewsError(ValueError):
    """There is nothing to learn from yet; the message says what there is and what it takes."""


@dataclass(frozen=True)
class Reviews:
    """Texts of reviews, and their classes: int64[N] places in ``schemas.catalogue.SENTIMENTS``."""

    texts: list[str]
    classes: np.ndarray

    def part(self, places: np.ndarray) -> "Reviews":
        return Reviews([self.texts[place] for place in places], self.classes[places])

    def sample(self, count: int) -> "Reviews":
        """At most ``count`` of them, evenly spaced."""
        places = np.linspace(0, len(self.texts) - 1, min(count, len(self.texts))).round().astype(np.int64)
        return self.part(places)


@dataclass(frozen=True)
class Parts:
    """What is learned from, what is kept to calibrate, what is held out; and the Delta version that was read."""

    learned: Reviews
    kept: Reviews
    held_out: Reviews
    version: int

    def fingerprint(self) -> str:
        """A hash, so that a checkpoint is never continued on other reviews."""
        digest = hashlib.sha256()
        for part in (self.learned, self.kept, self.held_out):
            digest.update("\x1f".join(part.texts).encode() + part.classes.tobytes())
        return digest.hexdigest()


def classes_of(ratings: np.ndarray) -> np.ndarray:
    """int64[N]: 0 negative, 1 neutral, 2 positive, of stars from 1 to 5; 3 is neutral, as 2.5 and 3.5 are."""
    return 1 + (ratings > 3.5).astype(np.int64) - (ratings < 2.5)


def load_reviews(lake: str, day: date) -> Parts:
    """The reviews with stars and words that reached the lake up to ``day``, each text once.

    An edited review counts as it came last. The newest fifth is held out, and a tenth before it kept apart; among those
    of one moment, as where no time is known, a hash decides. Who wants no profile has no part in training.

    Raises:
        TooFewReviewsError: the lake has no reviews, or a part has too few of a class.
        ValueError: a column is missing.
    """
    if not DeltaTable.is_deltatable(table_uri(lake, TABLE)):
        raise TooFewReviewsError(f"{lake} has no {TABLE}: the shop told of no review up to {day}")
    delta = open_table(lake, TABLE)
    rows = delta.to_pyarrow_dataset().to_table(filter=pc.field("day") <= pa.scalar(day), columns=COLUMNS)
    refusing = _refusing(lake, day)
    last = {row["review_id"]: row for row in rows.sort_by("day").to_pylist()}
    told = {}
    for row in last.values():
        text = review_text(row["title"], row["text"])
        if text and row["rating"] is not None and row["user_id"] not in refusing:
            order = (row["ts"], hashlib.sha256(row["review_id"].encode()).digest())
            told[text] = min(told.get(text, (order, row["rating"])), (order, row["rating"]))
    ordered = sorted((order, text, rating) for text, (order, rating) in told.items())
    ratings = np.array([rating for *_, rating in ordered], dtype=np.float64)
    whole = Reviews([text for _, text, _ in ordered], classes_of(ratings))
    return _split(whole, delta.version(), f"{TABLE} up to {day}")


def _split(whole: Reviews, version: int, where: str) -> Parts:
    ends = [round(len(whole.texts) * share) for share in (1 - HELD_OUT - KEPT, 1 - HELD_OUT)]
    parts = [whole.part(places) for places in np.split(np.arange(len(whole.texts)), ends)]
    for part, name in zip(parts, ("to learn from", "to calibrate with", "held out"), strict=True):
        counts = np.bincount(part.classes, minlength=len(SENTIMENTS))
        if counts.min() < LEAST:
            told = ", ".join(f"{count} {kind}" for count, kind in zip(counts, SENTIMENTS, strict=True))
            raise TooFewReviewsError(
                f"{where}: of {len(whole.texts)} reviews with stars and words {told} are {name}; "
                f"it takes {LEAST} of each. Until then catalogue.reviews goes by the stars alone"
            )
    return Parts(*parts, version)


def _refusing(lake: str, day: date) -> set[str]:
    """Source ids of who asked for no_profiling on the night; nobody where the shop has no such table."""
    try:
        delta = open_table(lake, WISHES)
    except ValueError:
        return set()
    asked = (pc.field("day") == pa.scalar(day)) & (pc.field("preference") == "no_profiling")
    return set(delta.to_pyarrow_dataset().to_table(filter=asked, columns=["user_id"])["user_id"].to_pylist())
