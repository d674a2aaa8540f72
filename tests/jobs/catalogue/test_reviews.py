import json
from datetime import date, datetime

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.export import Dim

import schemas
from jobs.behaviour.pseudonym import pseudonym_key, pseudonym_of
from jobs.catalogue.reviews import reviews
from jobs.gate import judge
from jobs.model import Model
from schemas.catalogue import review_text

EARLIER, NIGHT = date(2024, 2, 29), date(2024, 3, 1)
WORDS = ("[PAD]", "[UNK]", "good", "bad", "好")


class Counts(torch.nn.Module):
    """Of so many good and bad words; neutral is told before it is the likeliest."""

    def forward(self, token_ids, attention_mask):
        good, bad = (((token_ids == n) | (token_ids == m)).sum(1).float() for n, m in ((2, 4), (3, 3)))
        sure = torch.softmax(torch.stack([bad, torch.zeros_like(bad), good], dim=1) * torch.tensor(4.0).log(), dim=1)
        return sure, sure.log() + torch.tensor([0.0, 0.1, 0.0])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sentiment") / "export"
    folder.mkdir()
    shapes = {0: Dim("B", min=1, max=64), 1: Dim("T", min=1, max=8)}
    inputs = (torch.ones(2, 4, dtype=torch.int64), torch.ones(2, 4, dtype=torch.int64))
    torch.export.save(torch.export.export(Counts(), inputs, dynamic_shapes=(shapes, shapes)), folder / "opinion.pt2")
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_padding()
    tokenizer.enable_truncation(8)
    tokenizer.save(str(folder / "tokenizer.json"))
    manifest = {"format": 1, "classes": ["negative", "neutral", "positive"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return Model("7", "run", str(folder))


@pytest.fixture
def made(frame):
    """catalogue.reviews by review_id, of (day, rating, title, text) a review."""

    def made(model, refusing=None, **written):
        rows = [
            {"day": day, "review_id": name, "item_id": "apple", "ts": datetime(2024, 2, 20, 23)}
            | {"user_id": "bob" if name == refusing else "ann"}
            | {"rating": rating, "title": title, "text": text}
            for name, (day, rating, title, text) in written.items()
        ]
        wishes = frame("raw.preferences", {"user_id": "bob", "preference": "no_profiling"}) if refusing else None
        told = judge(reviews(frame("raw.reviews", *rows), wishes, model, day=NIGHT), TABLE).collect()
        assert [row for row in told if row["_rule"]] == []
        return {row["review_id"]: {name: row[name] for name in TABLE.column_names} for row in told}

    return made


TABLE = schemas.table("catalogue.reviews")
SAID = ("language", "sentiment", "confidence", "tone", "source", "model_version")


def test_the_model_reads_the_words_and_stars_stand_in_where_there_are_none(made, model):
    found = made(
        model,
        praise=(NIGHT, 1.0, "Good", "good"),
        blame=(EARLIER, None, None, "bad"),
        chinese=(NIGHT, 5.0, None, "好"),
        plain=(NIGHT, 5.0, "", "it is an apple " * 9),
        wordless=(NIGHT, 2.0, None, " ... "),
        silent=(NIGHT, None, None, None),
    )
    assert {name: tuple(row[each] for each in SAID) for name, row in found.items()} == {
        "praise": ("en", 0.5, 0.6667, "positive", "model", "7"),  # one good of two: "Good" is another word
        "blame": ("en", -0.5, 0.6667, "negative", "model", "7"),
        "chinese": ("zh", 0.5, 0.6667, "positive", "model", "7"),
        "plain": ("en", 0.0, 0.3333, "neutral", "model", "7"),
        "wordless": (None, -0.5, None, "negative", "rating", None),
        "silent": (None, None, None, None, None, None),
    }
    assert {name: found["blame"][name] for name in ("day", "user_id", "item_id", "written", "rating")} == {
        "day": EARLIER,
        "user_id": pseudonym_of("ann", pseudonym_key()),
        "item_id": "apple",
        "written": date(2024, 2, 20),
        "rating": None,
    }


def test_without_a_model_the_stars_say_all_and_no_row_is_lost(made):
    found = made(
        None, **{f"r{n}": (NIGHT, n / 2, None, "good") for n in (2, 4, 5, 6, 8, 10)}, none=(NIGHT, None, "a", "b")
    )
    assert {name: (row["sentiment"], row["tone"], row["source"]) for name, row in found.items()} == {
        "r2": (-1.0, "negative", "rating"),
        "r4": (-0.5, "negative", "rating"),
        "r5": (-0.25, "neutral", "rating"),
        "r6": (0.0, "neutral", "rating"),
        "r8": (0.5, "positive", "rating"),
        "r10": (1.0, "positive", "rating"),
        "none": (None, None, None),
    }


def test_nothing_is_read_out_of_what_somebody_wrote_who_wants_no_profile(made, model):
    found = made(model, refusing="mine", mine=(NIGHT, 5.0, None, "good"), other=(NIGHT, 5.0, None, "good"))
    assert tuple(found["mine"][name] for name in SAID) == (None,) * len(SAID)
    assert (found["mine"]["rating"], found["other"]["source"]) == (5.0, "model")


def test_an_edited_review_is_read_as_it_was_on_each_night(frame, model):
    written = {"review_id": "r", "user_id": "ann", "item_id": "apple", "ts": datetime(2024, 2, 20, 23)}
    rows = [written | {"day": day, "text": text} for day, text in ((EARLIER, "bad"), (NIGHT, "good"))]
    made = reviews(frame("raw.reviews", *rows), None, model, day=NIGHT).collect()
    assert {row["day"]: row["tone"] for row in made} == {EARLIER: "negative", NIGHT: "positive"}


def test_a_shop_without_reviews_has_none():
    assert reviews(None, None, None, day=NIGHT) is None


@pytest.mark.parametrize(
    ("title", "text", "told"),
    [
        ("Great", "Fits\nwell. ", "Great. Fits well."),
        ("Great!", "Fits", "Great! Fits"),
        (None, "好", "好"),
        ("Only a headline", None, "Only a headline"),
        ("?!", " ", ""),
    ],
)
def test_what_a_model_reads_of_a_review(title, text, told):
    assert review_text(title, text) == told
