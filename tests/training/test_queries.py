"""Texts about items, as training reads them."""

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

from tests.training.conftest import DAY, fill
from training import queries
from training.data import load
from training.recipe import HELD_OUT_DAYS

EARLY = date(2024, 1, 1)


def write_texts(lake: Path, rows: list[tuple[str, str, str | None, date]]) -> None:
    """``rows``: kind, text, item, since."""
    kinds, texts, items, since = zip(*rows, strict=True)
    table = pa.table(
        {
            "day": pa.array([DAY] * len(rows), pa.date32()),
            "text_id": [f"{place:032}" for place in range(len(rows))],
            "kind": kinds,
            "text": texts,
            "item_id": pa.array(items, pa.string()),
            "since": pa.array(since, pa.date32()),
        }
    )
    write_deltalake(str(lake / "catalogue/texts"), table, partition_by=["day"])


def test_what_people_wrote_about_items_of_the_catalogue_before_the_held_out_days(tmp_path: Path):
    late = DAY - timedelta(days=HELD_OUT_DAYS - 1)
    write_texts(
        tmp_path,
        [
            ("review", "sweet", "pear", EARLY),
            ("search", "something sweet", "pear", late - timedelta(days=1)),
            ("description", "round", "apple", EARLY),
            ("title", "Pear", "pear", EARLY),  # what the item is called is its own text
            ("review", "too late", "pear", late),
            ("review", "of what was sold once", "gone", EARLY),
            ("search", "nobody knows", None, EARLY),
        ],
    )
    found, version = queries.read(str(tmp_path), DAY, ["apple", "pear"])
    assert sorted(found) == [("round", 0), ("something sweet", 1), ("sweet", 1)]
    assert version == 0
    assert queries.read(str(tmp_path / "empty"), DAY, []) == ([], None)


def test_a_fold_reads_the_texts_of_its_night_that_were_known_before_its_own_held_out_days(tmp_path: Path):
    fold = DAY - timedelta(days=7)
    cut = fold - timedelta(days=HELD_OUT_DAYS - 1)
    write_texts(tmp_path, [("review", "old", "pear", cut - timedelta(days=1)), ("review", "new", "pear", cut)])
    assert queries.read(str(tmp_path), fold, ["pear"], DAY)[0] == [("old", 0)]
    assert sorted(queries.read(str(tmp_path), DAY, ["pear"], DAY)[0]) == [("new", 0), ("old", 0)]


def test_a_night_has_more_texts_than_its_items(tmp_path: Path):
    fill(tmp_path)
    write_texts(tmp_path, [("review", "white as milk", "i03", EARLY), ("review", "milk 3", "i03", EARLY)])
    night = load(str(tmp_path), DAY)
    assert night.texts[-1] == "white as milk"
    told = {(night.texts[text], night.item_ids[item]) for text, item in zip(*vars(night.queries).values(), strict=True)}
    assert told == {("white as milk", "i03"), ("milk 3", "i03")}
    assert night.known_texts < len(night.texts)
    assert night.versions["catalogue.texts"] == 0
