"""A tiny lake, a tiny random BERT, and a recipe to match, so that the real launcher trains in seconds."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

DAY = date(2024, 3, 31)


def write_histories(lake: Path, histories: dict[str, list[tuple[str, int]]], day: date = DAY) -> None:
    """``histories``: user -> (item, days before the night's end), oldest first."""
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    rows = [
        {
            "day": day,
            "user_id": user,
            "item_ids": [item for item, _ in events],
            "times": [end - timedelta(days=age) + timedelta(hours=9) for _, age in events],
            "amounts": [1.0] * len(events),
            "baskets": [str(age) for _, age in events],
            "length": len(events),
        }
        for user, events in histories.items()
    ]
    schema = pa.schema(
        {
            "day": pa.date32(),
            "user_id": pa.string(),
            "item_ids": pa.list_(pa.string()),
            "times": pa.list_(pa.timestamp("us", "UTC")),
            "amounts": pa.list_(pa.float64()),
            "baskets": pa.list_(pa.string()),
            "length": pa.int32(),
        }
    )
    table = pa.Table.from_pylist(rows, schema)
    write_deltalake(str(lake / "behaviour" / "histories"), table, partition_by=["day"], mode="append")


def write_items(lake: Path, texts: dict[str, str | None], day: date = DAY) -> None:
    columns = {"day": pa.array([day] * len(texts), pa.date32()), "item_id": list(texts)}
    paths = pa.array([(text or "").split()[:1] for text in texts.values()], pa.list_(pa.string()))
    described = {"brand": pa.nulls(len(texts), pa.string()), "category_path": paths}
    table = pa.table({**columns, "text": pa.array(list(texts.values()), pa.string()), **described})
    write_deltalake(str(lake / "catalogue" / "items"), table, partition_by=["day"], mode="append")


def write_exposures(lake: Path, rows: list[tuple[str, str, date, bool, float]]) -> None:
    """``rows``: user, item, day, whether it was bought, weight; a lake of before clicks were kept."""
    names = ("user_id", "item_id", "day", "bought", "weight")
    table = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    write_deltalake(str(lake / "behaviour" / "exposures"), table, partition_by=["day"])


def fill(lake: Path) -> None:
    """24 users, 30 items: user u buys items u and u + 1 (of 24) every few days; six items nobody buys."""
    histories = {
        f"u{user:02}": [
            (f"i{(user + step % 2) % 24:02}", age)
            for age in range(60, 0, -3)
            for step in range(3)
            if (age + user) % 2 or step
        ]
        for user in range(24)
    }
    histories["newcomer"] = [("i03", 20)]
    write_histories(lake, histories)
    write_items(lake, {f"i{item:02}": f"{('milk', 'bread', 'soap')[item % 3]} {item % 10}" for item in range(30)})
    visits = [(user, place, age) for place, user in enumerate(sorted(histories)[1:]) for age in range(59, 0, -6)]
    write_exposures(
        lake,
        [
            (user, f"i{(place + shift) % 30:02}", DAY - timedelta(days=age - 1), shift == 0, weight)
            for user, place, age in visits
            for shift, weight in ((0, 1.0), (3, 4.0), (7, 4.0))
        ],
    )


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the three tables that training reads, of the night DAY; read only."""
    folder = tmp_path_factory.mktemp("lake")
    fill(folder)
    return folder


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder: a random BERT of two layers and 16 dimensions with a word tokenizer."""
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("backbone")
    words = save_words(folder, mask_token="[MASK]")
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=words,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    BertModel(shape).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Likewise a random GPT-2, which has no mask."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path_factory.mktemp("decoder")
    words = save_words(folder)
    torch.manual_seed(0)
    shape = GPT2Config(vocab_size=words, n_embd=16, n_layer=2, n_head=2, n_positions=16)
    GPT2LMHeadModel(shape).save_pretrained(folder)
    return folder


def save_words(folder: Path, **special: str) -> int:
    """A word tokenizer into ``folder``; how many words it has."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "milk", "bread", "soap", *map(str, range(10)), "[MASK]"]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", **special)
    fast.save_pretrained(folder)
    return len(words)


@pytest.fixture(scope="session")
def tiny(backbone: Path):
    """The cpu recipe, small."""
    from training.recipe import Recipe

    return Recipe(
        name="cpu",
        hardware="cpu",
        backbone=str(backbone),
        max_tokens=8,
        dim=13,
        text_dim=6,
        id_dim=8,
        head_dim=4,
        max_history=16,
        context=8,
        width=16,
        heads=2,
        users=4,
        queries=3,
        targets=4,
        shown=3,
        negatives=8,
        live_texts=3,
        repeats_steps=2,
        steps=12,
        warmup=2,
        refresh_every=4,
        checkpoint_every=4,
        threads=1,
    )
