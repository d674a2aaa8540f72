"""Whether a review is negative, neutral or positive: ours beside a lexicon and a regression of words, by its stars."""

import csv
import gzip
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from benchmarks import Goal
from benchmarks.accuracy import ours
from jobs.catalogue.opinions import Opinions
from schemas.catalogue import SENTIMENTS
from training.parts import Sentiment
from training.recipes import recipe
from training.reviews import Reviews, load_reviews
from training.verdict import macro_f1

FOLDER = Path(__file__).parents[3] / "shared/data/clothing_reviews"
DAY = date(2018, 1, 1)  # the file has no dates: all came on one day, and a hash says who is held out
STEPS, QUICK_STEPS, QUICK = 80, 2, 15  # of training; the reviews of quick are one in so many
RANKS = 2
LAYERS = 2  # of the language model that learn
NEUTRAL = 0.05  # of the lexicon's score to either side, as its authors have it
OURS, LEXICON, WORDS, LARGEST = "ours", "VADER", "TF-IDF and logistic regression", "the largest class"
METRICS = ("accuracy", "macro-F1")


def compare(quick: bool) -> dict[str, dict[str, float]]:
    """Accuracy and macro-F1 by contender, on the fifth of the reviews that a hash holds out.

    Raises:
        ValueError: the reviews aren't there.
    """
    with tempfile.TemporaryDirectory(prefix="reviews-") as place:
        folder = Path(place)
        write_lake(folder / "lake", quick)
        parts = load_reviews(str(folder / "lake"), DAY)
        known = Reviews(
            parts.learned.texts + parts.kept.texts, np.concatenate([parts.learned.classes, parts.kept.classes])
        )
        asked, truth = parts.held_out.texts, parts.held_out.classes
        told = {
            OURS: Opinions(str(_trained(folder, quick))).score(asked)[1],
            LEXICON: _lexicon(asked),
            WORDS: _regression(known, asked),
            LARGEST: np.full(len(truth), np.bincount(known.classes).argmax()),
        }
    return {f"reviews, {who}": _judged(truth, classes) | {"reviews": len(truth)} for who, classes in told.items()}


def write_lake(lake: Path, quick: bool) -> None:
    """raw.reviews of a lake with all that is in the file and has words."""
    path = FOLDER / "womens_clothing_reviews.csv.gz"
    if not path.exists():
        raise ValueError(
            f"{path} is not there: the reviews of 23,486 women's clothes (GitHub "
            "irmakozveren01/Womens-clothing-text-analysis) are no part of the project; put them there as this .csv.gz"
        )
    with gzip.open(path, "rt", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Review Text"]][:: QUICK if quick else 1]
    columns = {
        "day": pa.array([DAY] * len(rows), pa.date32()),
        "review_id": [row[""] for row in rows],
        "ts": pa.array([datetime(2018, 1, 1, tzinfo=UTC)] * len(rows), pa.timestamp("us", "UTC")),
        "user_id": [row[""] for row in rows],
        "item_id": [row["Clothing ID"] for row in rows],
        "rating": [float(row["Rating"]) for row in rows],
        "title": [row["Title"] for row in rows],
        "text": [row["Review Text"] for row in rows],
    }
    write_deltalake(str(lake / "raw/reviews"), pa.table(columns), partition_by=["day"])


def _trained(folder: Path, quick: bool) -> Path:
    """The export of a training as a shop starts it.

    Raises:
        RuntimeError: it failed; its last lines are in the message.
    """
    plan = Sentiment(steps=QUICK_STEPS if quick else STEPS, tuned_layers=LAYERS)
    chosen = replace(recipe("cpu"), sentiment=plan)
    path = folder / "recipe.json"
    path.write_text(json.dumps(chosen.parameters()))
    where = ["--recipe", str(path), "--day", str(DAY), "--lake", str(folder / "lake"), "--ranks", str(RANKS)]
    with open(folder / "training.log", "w") as log:
        command = [sys.executable, "-m", "training", "sentiment", *where]
        done = subprocess.run(command, cwd=folder, env=ours.environment(folder), stdout=log, stderr=log)
    if done.returncode:
        raise RuntimeError("training failed:\n" + (folder / "training.log").read_text()[-2000:])
    return folder / "checkpoints" / chosen.name / str(DAY) / "sentiment/model/export"


def _lexicon(texts: list[str]) -> np.ndarray:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    judge = SentimentIntensityAnalyzer()
    scores = np.array([judge.polarity_scores(text)["compound"] for text in texts])
    return 1 + (scores >= NEUTRAL).astype(np.int64) - (scores <= -NEUTRAL)


def _regression(known: Reviews, texts: list[str]) -> np.ndarray:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    counted = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    # classes weigh the same: its best macro-F1
    model = LogisticRegression(class_weight="balanced", max_iter=300)
    return model.fit(counted.fit_transform(known.texts), known.classes).predict(counted.transform(texts))


def _judged(truth: np.ndarray, told: np.ndarray) -> dict[str, float]:
    return {"accuracy": float((told == truth).mean()), "macro-F1": macro_f1(truth, told, len(SENTIMENTS))}


def goals(found: dict) -> dict[str, Goal]:
    """Ahead of the better of the two, in both."""
    reached = {}
    for metric in METRICS:
        best = max(found[f"reviews, {who}"][metric] for who in (LEXICON, WORDS))
        ahead = found[f"reviews, {OURS}"][metric] - best
        reached[f"sentiment of reviews, {metric} ahead of the best peer"] = Goal(0.0, round(ahead, 4), least=True)
    return reached


def table(found: dict) -> list[list[str]]:
    return [
        ["reviews", metric, f"{found[f'reviews, {OURS}'][metric]:.4f}", who, f"{found[f'reviews, {who}'][metric]:.4f}"]
        for metric in METRICS
        for who in (LEXICON, WORDS, LARGEST)
    ]
