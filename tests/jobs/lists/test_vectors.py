"""Vectors by hand through a real exported model, inside Spark's workers."""

import json
import math
import shutil

import numpy as np
import pyarrow as pa
import pytest

from jobs.lists.scorer import Scorer, manifest
from jobs.lists.vectors import _output, vectors
from jobs.model import Model
from schemas.catalogue import description

SOLD = 0.1 * (math.e - 1)  # a count whose logarithm, of ten times it and one, is one
HEADS = ("click_vector", "purchase_vector", "spend_vector")


@pytest.fixture(scope="module")
def made(shop, export):
    items = shop.items(
        shop.item("apple", "fruit red"),
        shop.item("bread", "bakery"),
        shop.item("cake", "bakery red red"),  # the model never saw it
        shop.item("pear", "fruit", on_sale=False),  # in a history
        shop.item("soap", "red", on_sale=False),  # in none
        shop.item("nut", "fruit", on_sale=False),  # in a history, but before its last three items
    )
    histories = shop.histories(
        ann=[("nut", 1), ("pear", 29), ("apple", 31), ("bread", 31)],
        bob=[("bread", 29)],
        cy=[("vanished", 30)],
        dan=[("pear", 30), ("vanished", 31)],
    )
    frame = vectors(items, histories, shop.trends(), Model("7", "run", str(export)), None, None, day=shop.night)
    return shop.contract(frame, "lists.vectors")


def by_id(frame, kind):
    return {row["id"]: (row["vector"], row["purchase_vector"]) for row in frame.where(f"kind = '{kind}'").collect()}


def test_items_on_sale_and_items_of_recent_histories_have_vectors(made, shop):
    assert by_id(made, "item") == {
        "apple": ([1, 0, 1, 0.5], [1, 0]),
        "bread": ([0, 1, 0, 0.25], [0, 1]),
        "cake": ([0, 1, 2, 0], [0, 1]),  # a new item: its text alone
        "pear": ([1, 0, 0, 0], [1, 0]),
    }
    stamps = {(row["day"], row["model_version"]) for row in made.collect()}
    assert stamps == {(shop.night, "7")}


def test_an_items_brand_and_categories_count_as_far_as_the_model_knows_them(shop, export):
    acme = shop.item("cake", "bakery", brand="acme", path=["food", "fresh"])
    items = shop.items(acme, shop.item("bread", "bakery", brand="nobody"))
    frame = vectors(items, shop.histories(), shop.trends(), Model("7", "run", str(export)), None, None, day=shop.night)
    assert by_id(frame, "item") == {"cake": ([4, 1, 8, 0], [4, 1]), "bread": ([0, 1, 0, 0.25], [0, 1])}


def test_an_item_that_changes_its_brand_is_encoded_anew(shop, export):
    names = ("apple", "bread")
    told = dict.fromkeys(names, ([9, 9, 9, 9], [7, 7], [8, 8], [6, 6], [0, 0, 0, 0]))
    last_vectors = shop.vectors({}, told, biases=dict.fromkeys(names, 9.0))
    last_items = shop.items(shop.item("apple", brand="acme"), shop.item("bread", brand="acme"))
    items = shop.items(shop.item("apple", brand="acme"), shop.item("bread"))
    frame = vectors(
        items, shop.histories(), shop.trends(), Model("7", "r", str(export)), last_vectors, last_items, day=shop.night
    )
    assert by_id(frame, "item") == {"apple": ([9, 9, 9, 9], [8, 8]), "bread": ([1, 0, 0, 0.25], [1, 0])}


@pytest.mark.parametrize(("version", "kept"), [("7", True), ("6", False)])
def test_an_item_keeps_last_nights_vector_while_its_text_and_the_model_stay(shop, export, version, kept):
    """But for how it sells: last night's trends added 4 to each vector's last entry, tonight's add 2 to the apple's."""
    names, before = ("apple", "bread", "gone"), ([9, 9, 9, 9], [7, 7], [8, 8], [6, 6], [5, 5, 5, 5])
    last_vectors = shop.vectors({}, dict.fromkeys(names, before), biases=dict.fromkeys(names, 5.0))
    last_items = shop.items(shop.item("apple", "fruit"), shop.item("bread", "fruit"), shop.item("gone", "red"))
    frame = vectors(
        shop.items(shop.item("apple", "fruit"), shop.item("bread", "bakery"), shop.item("cake", "red")),
        shop.histories(ann=[("apple", 31)]),
        shop.trends(apple=(SOLD, 0, 0, 0, 0)),
        Model(version, "run", str(export)),
        last_vectors,
        last_items,
        day=shop.night,
    )
    assert by_id(frame, "item") == {
        "apple": ([9, 9, 9, 7], [8, 8]) if kept else ([1, 0, 0, 2.5], [1, 0]),
        "bread": ([0, 1, 0, 0.25], [0, 1]),
        "cake": ([0, 0, 1, 0], [0, 0]),
    }
    # ann's vector is made of the vectors that the table holds
    assert by_id(frame, "user")["ann"][0][0] == (13.5 if kept else 1.5)


def test_users_are_encoded_from_their_last_items_oldest_first_with_ages_at_the_nights_end(made):
    # ages at the end of 31 May: 29 May at 0:00 is 3 days, 31 May 1 day; the last item counts once more
    # ann: pear / 4 + apple / 2 + bread / 2 + bread
    # bob: bread / 4 + bread, cy: nothing the catalogue knows, dan: pear / 3 + pear
    found = by_id(made, "user")
    assert set(found) == {"ann", "bob", "dan"}
    assert found["ann"] == ([0.75, 1.5, 0.5, 1], [0.375, 0.75, 0.5])
    assert found["bob"] == ([0, 1.25, 0, 1], [0, 0.625, 0.5])
    assert found["dan"][0] == pytest.approx([4 / 3, 0, 0, 1])


def test_what_an_items_repeat_adds_is_told_by_its_id(made):
    told = {row["id"]: row["repeats"] for row in made.collect()}
    # the small model adds 1 / (1 + age) to the last item alone
    assert {user: told[user] for user in ("ann", "bob")} == {"ann": {"bread": 0.5}, "bob": {"bread": 0.25}}
    assert told["dan"] == {"pear": pytest.approx(1 / 3)}
    assert told["apple"] == {}


def test_how_items_sell_tonight_counts_in_vectors_and_repeats(shop, export):
    """By the small model's pull, the apple's trends of 1, 1 and 2 add 2 + 1 + 1 to its bias of a half."""
    twice = 0.1 * (math.e**2 - 1)
    trends = shop.trends(apple=(SOLD, SOLD, twice, 15, 4), gone=(SOLD, SOLD, SOLD, 0, 0))
    items = shop.items(shop.item("apple", "fruit"), shop.item("bread", "bakery"))
    histories = shop.histories(ann=[("apple", 31)])
    frame = vectors(items, histories, trends, Model("7", "run", str(export)), None, None, day=shop.night)
    rows = {row["id"]: row for row in shop.contract(frame, "lists.vectors").collect()}
    assert rows["apple"]["vector"] == pytest.approx([1, 0, 0, 4.5])
    assert rows["apple"]["bias"] == 0.5
    assert rows["apple"]["sales_vector"] == pytest.approx([1, 1, 2, math.log(4.1 / 20)])
    assert rows["bread"]["vector"] == [0, 1, 0, 0.25]
    assert rows["bread"]["sales_vector"] == pytest.approx([0, 0, 0, math.log(0.02)])  # nobody bought it
    assert rows["ann"]["repeats"] == {"apple": pytest.approx(0.5 + 1)}  # it adds the first trend
    assert (rows["ann"]["sales_vector"], rows["ann"]["bias"]) == ([], None)


def test_a_model_that_learned_nothing_of_trends_hears_nothing_of_them(shop, export, tmp_path):
    folder = shutil.copytree(export, tmp_path / "export")
    (folder / "manifest.json").write_text(json.dumps(manifest(str(export)) | {"pull": None}))
    items, trends = shop.items(shop.item("apple", "fruit")), shop.trends(apple=(SOLD, SOLD, SOLD, 15, 4))
    frame = vectors(items, shop.histories(), trends, Model("7", "run", str(folder)), None, None, day=shop.night)
    (apple,) = frame.collect()
    assert apple["vector"] == [1, 0, 0, 0.5]
    assert apple["sales_vector"] == pytest.approx([0, 0, 0, math.log(4.1 / 20)])


def test_every_head_has_its_vectors_and_users_the_variety_they_accept(made):
    (apple,) = made.where("id = 'apple'").collect()
    assert [apple[name] for name in HEADS] == [[1, 0]] * 3
    assert apple["variety"] is None
    (bob,) = made.where("id = 'bob'").collect()
    assert [bob[name] for name in HEADS] == [[0, pytest.approx(1.25 / 3), 0.5], [0, 0.625, 0.5], [0, 0.3125]]
    assert bob["variety"] == 0.25


def test_heads_that_were_not_trained_have_no_entries(export, tmp_path):
    folder = shutil.copytree(export, tmp_path / "export")
    (folder / "manifest.json").write_text(json.dumps(manifest(str(export)) | {"tasks": ["next_item", "spend"]}))
    found = Scorer(str(folder)).items(["fruit", "red"], [[], []], ["apple", "bread"])
    assert found["vector"].tolist() == [[1, 0, 0, 0.5], [0, 0, 1, 0.25]]
    assert [found[name].shape for name in HEADS] == [(2, 0), (2, 0), (2, 2)]
    nobody = np.full((1, 3), -1)
    found = Scorer(str(folder)).users(
        np.zeros((1, 3, 4), np.float32), np.zeros((1, 3, 4), np.float32), np.zeros((1, 3), np.float32), nobody
    )
    assert np.isnan(found["variety"]).all()


def test_an_item_described_as_it_was_has_the_vectors_that_came_with_the_export(export, tmp_path):
    folder = shutil.copytree(export, tmp_path / "export")
    asked = {"apple": ("fruit", ["brand acme"]), "bread": ("bakery", []), "soap": ("red", [])}
    exported = {item: description(item, *asked[item]) for item in ("apple", "soap")}
    kept = sorted((number, 10.0 * place) for place, number in enumerate(exported.values(), 1))
    np.save(folder / "descriptions.npy", np.array([number for number, _ in kept]))
    np.save(folder / "vectors.npy", np.array([[first, *range(1, 10)] for _, first in kept], np.float32))
    read = Scorer(str(folder))

    def vectors_of(**changed):
        told = asked | changed
        found = read.items([text for text, _ in told.values()], [tags for _, tags in told.values()], list(told))
        return found["vector"].tolist(), found["spend_vector"].tolist()

    assert vectors_of() == ([[10, 1, 2, 3], [0, 1, 0, 0.25], [20, 1, 2, 3]], [[8, 9], [0, 1], [8, 9]])
    assert vectors_of(apple=("fruit", []))[0][0] == [1, 0, 0, 0.5]  # its brand went
    assert vectors_of(apple=("fruit red", ["brand acme"]))[0][0] == [5, 0, 1, 0.5]
    everything = read.items(["fruit", "red"], [["brand acme"], []], ["apple", "soap"])
    assert everything["vector"].tolist() == [[10, 1, 2, 3], [20, 1, 2, 3]]


def test_a_model_that_gives_no_numbers_is_refused():
    ids = pa.array(["apple", "bread"])
    with pytest.raises(ValueError, match=r"lists\.vectors: vector\[1, 0\] is nan"):
        _output(ids, {"vector": np.array([[1], [np.nan]], np.float32)})


def test_a_folder_that_is_no_export_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"manifest\.json: no such file"):
        manifest(str(tmp_path))
    (tmp_path / "manifest.json").write_text('{"format": 1}')
    with pytest.raises(ValueError, match="format is 1, these jobs read 8"):
        manifest(str(tmp_path))


def test_workers_use_one_thread_each(spark):
    def threads(batches):
        import torch

        for _ in batches:
            yield pa.RecordBatch.from_pydict({"threads": [torch.get_num_threads()]})

    found = spark.range(1).mapInArrow(threads, "threads bigint").collect()
    assert [row["threads"] for row in found] == [1]
