"""A real export in the format that scoring reads, small enough to work out by hand, and rows of the tables."""

import json
from datetime import UTC, date, datetime
from itertools import zip_longest

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.export import Dim

import schemas

NIGHT = date(2024, 5, 31)
WORDS = {"[PAD]": (0, 0, 0), "[UNK]": (0, 0, 0), "fruit": (1, 0, 0), "bakery": (0, 1, 0), "red": (0, 0, 1)}
KNOWN = {"apple": 0.5, "bread": 0.25}  # the items the model knows, with their biases
TAGS = {"brand acme": (4, 0, 0), "category fresh": (0, 0, 8)}  # the brands and categories it knows, with vectors
LONGEST = 3


class Items(torch.nn.Module):
    """vector = sum of the words' and the tags' vectors, then the item's bias; vectors of the heads = its first two."""

    def __init__(self):
        super().__init__()
        words = torch.tensor(list(WORDS.values()), dtype=torch.float32)
        self.words = torch.nn.Embedding.from_pretrained(words)
        tags = torch.tensor([(0, 0, 0), *TAGS.values()], dtype=torch.float32)
        self.tags = torch.nn.Embedding.from_pretrained(tags)
        self.biases = torch.nn.Embedding.from_pretrained(torch.tensor([[0.0], *([bias] for bias in KNOWN.values())]))

    def forward(self, token_ids, attention_mask, tags, item_index):
        text = (self.words(token_ids) * attention_mask[..., None]).sum(1) + self.tags(tags).sum(1)
        vectors = torch.cat([text, self.biases(item_index)], dim=1)
        return vectors, *(vectors[:, :2] * scale for scale in (1, 1, 1))


class Users(torch.nn.Module):
    """vector = sum of the items' vectors / (1 + age) + the vector of the last place, then 1 for the items' bias.

    The last place's item scores 1 / (1 + age) and its first trend more. The heads' vectors are thirds, halves and
    quarters of its first two, a point of relevance adds 0.5 to logits, and the variety is 0.25.
    """

    def forward(self, item_vectors, sales, ages, entries):
        weights = (entries >= 0).float() / (1 + ages)
        summed = (item_vectors * weights[..., None]).sum(1) + item_vectors[:, -1]
        vectors = torch.cat([summed[:, :3], torch.ones_like(summed[:, :1])], dim=1)
        latest = torch.arange(ages.shape[1]) == ages.shape[1] - 1
        click, purchase, spend = (vectors[:, :2] / part for part in (3, 2, 4))
        gain = torch.full_like(click[:, :1], 0.5)
        paired = torch.cat([click, gain], dim=1), torch.cat([purchase, gain], dim=1), spend
        return vectors, *paired, torch.full_like(ages[:, 0], 0.25), weights * latest + sales[..., 0] * latest


def write_export(folder, **manifest):
    """Writes the two programs, the tokenizer, the known items and the manifest."""
    rows, tokens = Dim("rows", min=1, max=4096), Dim("tokens", min=1, max=8)
    text = tuple(torch.ones(shape, dtype=torch.int64) for shape in ((2, 4), (2, 4), (2, 2), (2,)))
    shapes = ({0: rows, 1: tokens}, {0: rows, 1: tokens}, {0: rows}, {0: rows})
    of_items = torch.export.export(Items(), text, dynamic_shapes=shapes)
    about = torch.ones(2, LONGEST, 4), torch.ones(2, LONGEST, 4)
    history = (*about, torch.ones(2, LONGEST), torch.ones(2, LONGEST, dtype=torch.int64))
    of_users = torch.export.export(Users(), history, dynamic_shapes=({0: rows},) * 4)
    torch.export.save(of_items, folder / "item_encoder.pt2")
    torch.export.save(of_users, folder / "user_encoder.pt2")

    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_padding()
    tokenizer.enable_truncation(8)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "items.json").write_text(json.dumps(list(KNOWN)))
    (folder / "tags.json").write_text(json.dumps(list(TAGS)))
    described = {
        "format": 8,
        "dim": 4,
        "text_dim": 3,
        "max_history": LONGEST,
        "max_tokens": 8,
        "max_tags": 2,
        "tasks": ["next_item", "click", "purchase", "spend", "variety"],
        "pull": [2.0, 1.0, 0.5],
    }
    (folder / "manifest.json").write_text(json.dumps(described | manifest))


@pytest.fixture(scope="session")
def export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    write_export(folder)
    return folder


class Shop:
    """Frames of the contract's tables, made of dicts; columns that a dict doesn't name are null."""

    night = NIGHT
    known = KNOWN

    def __init__(self, spark):
        self.spark = spark

    def frame(self, name, *rows):
        columns = schemas.table(name).column_names
        unknown = {column for row in rows for column in row} - set(columns)
        assert not unknown, f"{name} has no columns {unknown}"
        return self.spark.createDataFrame([tuple(map(row.get, columns)) for row in rows], schemas.table(name).ddl)

    def items(self, *rows):
        return self.frame("catalogue.items", *rows)

    def users(self, **attributes):
        """ann={...} is a user with those attributes, who bought something; None is one who never did."""
        return self.frame(
            "profiles.users",
            *(
                {"user_id": user_id, "purchases": 0 if given is None else 1, "attributes": given or {}}
                for user_id, given in attributes.items()
            ),
        )

    def rules(self, **written):
        """name={column: value, ...}: rows of raw.rules."""
        return self.frame("raw.rules", *({"rule_id": rule_id} | each for rule_id, each in written.items()))

    def in_force(self, **written):
        """The same as active rows of lists.rules, whatever they say."""
        rows = ({"rule_id": rule_id, "state": "active"} | each for rule_id, each in written.items())
        return self.frame("lists.rules", *rows)

    def wishes(self, **asked):
        """ann=["sort_by_price", ("less_brand", "acme"), ...]."""
        rows = []
        for user_id, each in asked.items():
            for wish in each:
                name, value = (wish, None) if isinstance(wish, str) else wish
                rows.append({"user_id": user_id, "preference": name, "value": value})
        return self.frame("profiles.preferences", *rows)

    def front(self, units=None, audience="everybody", **weights):
        """The chosen point of an audience: its weights, and by objective what a value is divided by, 1 if not given."""
        row = {"surface": "home", "audience": audience, "chosen": True, "weights": weights}
        return self.frame("lists.front", row | {"units": units or {}, "caps": {}})

    def histories(self, **events):
        """ann=[(item_id, day of May at midnight UTC, money or nothing), ...], oldest first; a day is a basket."""
        rows = []
        for user_id, lines in events.items():
            times = [datetime(2024, 5, day, tzinfo=UTC) for _, day, *_ in lines]
            told = {"item_ids": [item_id for item_id, *_ in lines], "amounts": [(*line, None)[2] for line in lines]}
            told |= {"baskets": [f"{user_id}, {day} May" for _, day, *_ in lines]}
            rows.append({"user_id": user_id, "times": times, **told})
        return self.frame("behaviour.histories", *rows)

    def trends(self, **items):
        """apple=(counts that halve every 2, 7 and 30 days, weeks, weeks again), ..."""
        names = ("trend_2d", "trend_7d", "trend_30d")
        rows = (
            {"item_id": item, "weeks": weeks, "weeks_again": again} | dict(zip(names, map(float, counts), strict=True))
            for item, (*counts, weeks, again) in items.items()
        )
        return self.frame("catalogue.trends", *rows)

    def vectors(self, users, items, repeats=(), biases=()):
        """{id: (vector, then those of click, purchase, spend and sales, empty if not given)}, {user: {item: added}},
        {item: its vector's last entry without trends}.
        """
        names = ("vector", "click_vector", "purchase_vector", "spend_vector", "sales_vector")
        return self.frame(
            "lists.vectors",
            *(
                {"kind": kind, "id": id_, "model_version": "7"}
                | {name: [float(x) for x in each] for name, each in zip_longest(names, given, fillvalue=())}
                | {"repeats": dict(repeats).get(id_, {}), "bias": dict(biases).get(id_)}
                for kind, kinds in (("user", users), ("item", items))
                for id_, given in kinds.items()
            ),
        )

    @staticmethod
    def item(item_id, text="fruit", price=1.0, on_sale=True, brand=None, path=(), available=None, days_of_supply=None):
        described = {"text": text, "brand": brand, "category_path": list(path), "available": available}
        described["days_of_supply"] = days_of_supply
        described["category"] = path[min(1, len(path) - 1)] if path else "unknown"
        return {"item_id": item_id, "title": item_id.title(), "price": price, "on_sale": on_sale} | described

    @staticmethod
    def contract(frame, name):
        """The contract's columns of a job's frame, cast to nothing: a type that differs is an error here."""
        table = schemas.table(name)
        made = frame.select(*table.column_names)
        expected = frame.sparkSession.createDataFrame([], table.ddl).schema
        assert [(f.name, f.dataType.simpleString()) for f in made.schema] == [
            (f.name, f.dataType.simpleString()) for f in expected
        ]
        return made


@pytest.fixture(scope="session")
def shop(spark):
    return Shop(spark)
