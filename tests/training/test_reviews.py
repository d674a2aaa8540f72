"""Which reviews are learned from, which are held out, and whose have no part."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from tests.training.conftest import DAY
from training.reviews import TooFewReviewsError, classes_of, load_reviews

WORDS = {1.0: "bread 1", 3.0: "soap 3", 5.0: "milk 5"}


def write_reviews(lake: Path, rows: list[tuple[str, str, float | None, str | None, int]], day: date = DAY) -> None:
    """review_id, user_id, rating, text, and how many hours before DAY's midnight it was written."""
    end = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
    ids, users, ratings, texts, ages = zip(*rows, strict=True)
    columns = {
        "day": pa.array([day] * len(rows), pa.date32()),
        "review_id": ids,
        "user_id": users,
        "ts": pa.array([end - timedelta(hours=age) for age in ages], pa.timestamp("us", "UTC")),
        "rating": pa.array(ratings, pa.float64()),
        "title": pa.nulls(len(rows), pa.string()),
        "text": pa.array(texts, pa.string()),
    }
    write_deltalake(str(lake / "raw/reviews"), pa.table(columns), partition_by=["day"], mode="append")


def rated(count: int) -> list[tuple[str, str, float, str, int]]:
    """Of each class so many, the youngest last; what the text says follows from the stars."""
    return [
        (f"r{n:04}-{stars:.0f}", f"u{n}", stars, f"{words} {n}", 2 * count - n)
        for n in range(count)
        for stars, words in WORDS.items()
    ]


def test_three_stars_and_their_halves_are_neutral():
    assert classes_of(np.array([1, 2, 2.4, 2.5, 3, 3.5, 3.6, 4, 5])).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_the_newest_fifth_is_held_out_and_a_tenth_before_it_kept(tmp_path: Path):
    write_reviews(tmp_path, rated(100))
    parts = load_reviews(str(tmp_path), DAY)
    numbers = [
        sorted({int(text.split()[-1]) for text in part.texts}) for part in (parts.learned, parts.kept, parts.held_out)
    ]
    assert numbers == [list(range(70)), list(range(70, 80)), list(range(80, 100))]
    assert {(text[:4], kind) for text, kind in zip(parts.kept.texts, parts.kept.classes.tolist(), strict=True)} == {
        ("brea", 0),
        ("soap", 1),
        ("milk", 2),
    }
    assert parts.kept.sample(3).texts == [parts.kept.texts[0], parts.kept.texts[14], parts.kept.texts[29]]


def test_reviews_of_one_moment_are_split_by_a_hash_and_a_text_stands_on_one_side(tmp_path: Path):
    rows = [(*row[:4], 5) for row in rated(200)]
    write_reviews(tmp_path, [*rows, *((f"again {row[0]}", *row[1:]) for row in rows)])
    parts = load_reviews(str(tmp_path), DAY)
    sides = [set(part.texts) for part in (parts.learned, parts.kept, parts.held_out)]
    assert [len(side) for side in sides] == [420, 60, 120]
    assert len(set.union(*sides)) == 600
    assert {text.split()[-1] for text in sides[2]} - {str(n) for n in range(160, 200)}  # not the last of the file


def test_who_wants_no_profile_and_what_has_no_words_or_stars_or_came_later_is_left_out(tmp_path: Path):
    rows = rated(120)
    write_reviews(tmp_path, [*rows, ("x", "u", None, "milk", 1), ("y", "u", 5.0, " .. ", 1), ("z", "u", 5.0, None, 1)])
    write_reviews(tmp_path, [("late", "u", 5.0, "milk late", 1)], DAY + timedelta(days=1))
    wishes = {"day": pa.array([DAY] * 2, pa.date32()), "user_id": ["u7", "u8"]}
    wishes |= {"preference": ["no_profiling", "no_personalisation"]}
    write_deltalake(str(tmp_path / "raw/preferences"), pa.table(wishes), partition_by=["day"])
    parts = load_reviews(str(tmp_path), DAY)
    told = {text for part in (parts.learned, parts.kept, parts.held_out) for text in part.texts}
    assert told == {text for _, user, _, text, _ in rows if user != "u7"}


def test_an_edited_review_counts_as_it_came_last(tmp_path: Path):
    rows = rated(120)
    kept, edited = rows[:-1], (*rows[-1][:3], "milk, but sour", rows[-1][4])
    write_reviews(tmp_path, [edited], DAY)
    write_reviews(tmp_path, rows, DAY - timedelta(days=1))
    parts = load_reviews(str(tmp_path), DAY)
    told = {text for part in (parts.learned, parts.kept, parts.held_out) for text in part.texts}
    assert told == {row[3] for row in kept} | {edited[3]}


def test_too_few_of_a_class(tmp_path: Path):
    write_reviews(tmp_path, [row for row in rated(100) if row[2] != 3.0 or row[4] > 180])
    with pytest.raises(
        TooFewReviewsError, match=r"raw.reviews up to 2024-03-31: .* 0 neutral, .* are to calibrate with; it takes 10"
    ):
        load_reviews(str(tmp_path), DAY)
