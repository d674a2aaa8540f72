"""The corpus: which texts are trained on, which are held out, and which pairs there are."""

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from tests.training.conftest import DAY
from training.corpus import load_corpus

CUT = DAY - timedelta(days=6)


def write_texts(lake: Path, rows: list[tuple[str, str, str | None, date]], day: date = DAY) -> None:
    """Kind, text, about and since."""
    schema = pa.schema({"kind": pa.string(), "text": pa.string(), "about": pa.string(), "since": pa.date32()})
    table = pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)
    table = table.append_column("day", pa.array([day] * len(rows), pa.date32()))
    table = table.append_column("text_id", pa.array([f"{place:032}" for place in range(len(rows))]))
    table = table.append_column("item_id", pa.nulls(len(rows), pa.string()))
    write_deltalake(str(lake / "catalogue" / "texts"), table, partition_by=["day"], mode="append")


def test_pairs_and_texts_known_before_the_held_out_days(tmp_path: Path):
    write_texts(
        tmp_path,
        [
            ("title", "milk 1", None, CUT - timedelta(days=1)),
            ("attributes", "dairy", "milk 1", CUT - timedelta(days=1)),
            ("review", "so fresh", "milk 1", CUT),
            ("search", "hot water", None, CUT - timedelta(days=9)),
        ],
    )
    corpus, held_out = load_corpus(str(tmp_path), DAY)
    assert (corpus.texts, corpus.pairs.tolist()) == (["dairy", "hot water", "milk 1"], [[0, 2]])
    assert (held_out.texts, held_out.pairs.shape) == ([], (0, 2))


def test_a_fold_reads_the_texts_of_its_night_that_were_known_before_its_own_held_out_days(tmp_path: Path):
    week = timedelta(days=7)
    write_texts(tmp_path, [("title", f"milk {age}", None, CUT - timedelta(days=age)) for age in (1, 7, 8)])
    corpus, _ = load_corpus(str(tmp_path), DAY - week, DAY)
    assert corpus.texts == ["milk 8"]


def test_a_subject_is_on_one_side_with_all_that_is_said_of_it(tmp_path: Path):
    titles = [f"item {number}" for number in range(200)]
    rows = [("title", title, None, CUT - timedelta(days=1)) for title in titles]
    rows += [("review", f"about {title}", title, CUT - timedelta(days=1)) for title in titles]
    rows += [("attributes", "shared", title, CUT - timedelta(days=1)) for title in titles]
    write_texts(tmp_path, rows)
    corpus, held_out = load_corpus(str(tmp_path), DAY)
    ours, theirs = set(corpus.texts), set(held_out.texts)
    assert not ours & theirs
    assert ours | theirs == {*titles, *(f"about {title}" for title in titles), "shared"}
    assert 2 <= len(theirs) // 2 <= 25  # one in twenty of 200
    assert {f"about {title}" for title in theirs if title.startswith("item")} < theirs
    assert "shared" in ours
    assert len(corpus.pairs) == 2 * len(corpus.texts[: len(ours) // 2])
    assert len(held_out.pairs) == len(theirs) // 2


def test_nothing_to_train_on(tmp_path: Path):
    with pytest.raises(ValueError, match=r"catalogue\.texts"):
        load_corpus(str(tmp_path), DAY)
    write_texts(tmp_path, [("title", "milk", None, CUT)])
    with pytest.raises(ValueError, match=rf"no text known before {CUT} for the night {DAY}"):
        load_corpus(str(tmp_path), DAY)
