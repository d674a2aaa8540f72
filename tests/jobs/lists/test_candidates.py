"""Candidates by hand: the model's for users it knows, popular items for the others."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from jobs.lists import candidates as module
from jobs.lists.candidates import answers, candidates, softmax
from jobs.lists.scorer import FORMAT
from jobs.model import Model
from schemas.lists import SURFACES

THREE = replace(SURFACES[0], candidates=3)
NEW_ONLY = replace(SURFACES[0], name="discover", candidates=3, repeat=False)

VECTORS = {
    "apple": ([1, 0, 0.5], [], [1, 0], [0]),
    "bread": ([0, 1, 0.0], [], [0, 1], [1]),
    "cake": ([0, 1, 0.0], [], [2, 0], [2]),
    "jam": ([0, 0, 0.1], [], [0, 0], [0]),
    "old": ([9, 9, 9.0], [], [9, 9], [9]),  # off sale
}


REPEATS = {"gus": {"jam": 1.5, "old": 9.0, "cake": -1.0}}


def trained_on(folder, *known):
    """A model version whose export knows these items."""
    folder.mkdir()
    (folder / "items.json").write_text(json.dumps(known))
    (folder / "manifest.json").write_text(json.dumps({"format": FORMAT, "text_dim": 2}))
    return Model("7", "run", str(folder))


@pytest.fixture(scope="module")
def tables(shop, tmp_path_factory):
    def lines(*bought):
        at = datetime(2024, 5, 30, 12, tzinfo=UTC)
        return shop.frame(
            "behaviour.log",
            *({"user_id": u, "item_id": i, "event_type": t, "ts": at} for u, i, t in bought),
        )

    crowd = {f"u{n}": [("jam", 20)] for n in range(3)} | {"u3": [("bread", 20)], "u4": [("bread", 3)]}
    return {
        "vectors": shop.vectors(dict.fromkeys(("ann", "gus"), ([1, 2, 1], [], [1, 0, 0.5], [2])), VECTORS, REPEATS),
        "items": shop.items(*(shop.item(name, on_sale=name != "old") for name in VECTORS)),
        # 3 May is the first day outside the last 28
        "histories": shop.histories(ann=[("cake", 1, 9.0), ("cake", 2, 5.0), ("cake", 2, 2.0), ("old", 20)], **crowd),
        # the four have histories but no vector; they and eve are known by age, fay is not known at all
        "users": shop.users(
            ann={},
            eve={"age": "35-44"},
            fay={},
            gus={},
            u0={},
            u1={},
            u2={},
            u3={"age": "35-44"},
            u4={"income": "25-34K"},
        ),
        "rules": shop.in_force(),
        "preferences": shop.wishes(),
        "log": lines(("ann", "bread", "purchase"), ("ann", "cake", "view"), ("fay", "jam", "purchase")),
        "model": trained_on(tmp_path_factory.mktemp("model") / "export", *VECTORS),
    }


@pytest.fixture(scope="module")
def found(tables, shop):
    """{(surface, user): rows in order of rank} of two surfaces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SURFACES", (THREE, NEW_ONLY))
        rows = shop.contract(candidates(**tables, day=shop.night), "lists.candidates").collect()
    lists = {}
    for row in sorted(rows, key=lambda row: row["rank"]):
        lists.setdefault((row["surface"], row["user_id"]), []).append(row)
    return lists


def test_known_users_get_the_largest_inner_products_on_sale(found):
    rows = found["home", "ann"]
    # apple 1 + 0.5; bread and cake 2, so the first id first; jam 0.1 is the fourth; old is off sale
    assert [(row["rank"], row["item_id"]) for row in rows] == [(1, "bread"), (2, "cake"), (3, "apple")]
    share = 1 / (2 + np.exp(-0.5))
    assert [row["relevance"] for row in rows] == pytest.approx([share, share, share * np.exp(-0.5)])
    # inner products 0, 2 and 1, and half the relevance before the softmax
    sigmoid = [1 / (1 + np.exp(-x)) for x in (0 + 1, 2 + 1, 1 + 0.75)]
    assert [row["p_purchase"] for row in rows] == pytest.approx(sigmoid)
    # cake brought her 16 in two baskets, which count beside three purchases as the model expects them
    assert [row["spend"] for row in rows] == pytest.approx([np.exp(2), (16 + 3 * np.exp(4)) / 5, 1])
    assert {row["p_click"] for row in rows} == {None}
    assert {(row["policy"], row["model_version"]) for row in rows} == {("model", "7")}


def test_what_was_bought_before_scores_higher_or_lower_by_what_the_model_says(found):
    rows = found["home", "gus"]
    # bread 2; jam 0.1 + 1.5; apple 1.5; cake 2 - 1; old is off sale
    assert [row["item_id"] for row in rows] == ["bread", "jam", "apple"]
    parts = np.exp([2, 1.6, 1.5])
    assert [row["relevance"] for row in rows] == pytest.approx(parts / parts.sum())


def test_a_surface_without_repeats_leaves_out_what_was_bought_but_not_what_was_viewed(found):
    assert [row["item_id"] for row in found["discover", "ann"]] == ["cake", "apple", "jam"]
    assert [row["item_id"] for row in found["home", "fay"]] == ["jam", "bread", "apple"]
    assert [row["item_id"] for row in found["discover", "fay"]] == ["bread", "apple", "cake"]


def test_unknown_users_get_what_their_group_buys_then_what_everybody_buys(found):
    # six histories: 3 hold jam, 1 bread (another is too old); a group counts its own shoppers + 20 x that rate
    eve, fay = found["home", "eve"], found["home", "fay"]
    jam, bread = 20 * 3 / 6, 20 * 1 / 6
    assert [row["item_id"] for row in eve] == ["jam", "bread", "apple"]
    assert [row["relevance"] for row in eve] == pytest.approx(np.array([jam, bread + 1, 0]) / (jam + bread + 1))
    assert [row["relevance"] for row in fay] == pytest.approx(np.array([jam, bread, 0]) / (jam + bread))
    assert {(row["policy"], row["p_purchase"], row["spend"], row["model_version"]) for row in eve} == {
        ("popular", None, None, "7")
    }


def test_every_user_has_candidates_on_every_surface(found):
    users = ["ann", "eve", "fay", "gus", "u0", "u1", "u2", "u3", "u4"]
    assert sorted(found) == [(surface, user) for surface in ("discover", "home") for user in users]


def test_rules_leave_out_before_the_search_and_pins_come_after_it(shop, tables):
    one = replace(SURFACES[0], candidates=1)
    written = {
        "x": {"action": "exclude", "item_id": "bread"},
        "y": {"action": "age_restricted", "item_id": "cake", "value": 35.0},
        "p": {"action": "pin", "item_id": "jam", "value": 2.0},
    }
    users = shop.users(ann={}, gus={"age": "35-44"}, eve={"age": "under 40"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SURFACES", (one,))
        ruled = tables | {"rules": shop.in_force(**written), "users": users}
        rows = sorted(tuple(row) for row in candidates(**ruled, day=shop.night).select(
            "user_id", "rank", "item_id", "relevance", "spend").collect())  # fmt: skip
    parts = np.exp([1.5, 0.1])
    assert [row[:3] for row in rows] == [
        ("ann", 1, "apple"),  # bread is excluded, and of her age nothing is known: no cake
        ("ann", 2, "jam"),
        ("eve", 1, "apple"),  # nobody of these three bought anything: the first id
        ("eve", 2, "jam"),
        ("gus", 1, "jam"),  # 0.1 + 1.5, before apple 1.5; cake is 2 - 1
    ]
    assert [row[3] for row in rows[:2]] == pytest.approx(parts / parts.sum())
    assert rows[1][4] == pytest.approx(np.exp(0))


def test_without_personalisation_candidates_are_everybodys_whatever_the_history(shop, tables):
    refused = {"preferences": shop.wishes(ann=["no_personalisation"], eve=["no_personalisation"])}
    others = {
        "histories": tables["histories"].where("user_id <> 'ann'").unionByName(shop.histories(ann=[("jam", 20)] * 9)),
        "log": tables["log"].where("user_id <> 'ann'"),
        "vectors": tables["vectors"].where("id <> 'ann'"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SURFACES", (THREE, NEW_ONLY))
        found = [
            sorted(
                tuple(row)
                for row in candidates(**(tables | refused | more), day=shop.night)
                .where("user_id IN ('ann', 'eve', 'fay')")
                .select("surface", "user_id", "rank", "item_id", "relevance", "policy")
                .collect()
            )
            for more in ({}, others)
        ]
    assert found[0] == found[1]
    of = {user: [row[2:] for row in found[0] if row[:2] == ("home", user)] for user in ("ann", "eve", "fay")}
    assert of["ann"] == of["eve"] == of["fay"]  # eve's age counts no more, ann's vector neither
    assert {row[-1] for row in of["ann"]} == {"popular"}
    assert [row[3] for row in found[0] if row[:2] == ("discover", "ann")] == [
        "jam",
        "bread",
        "apple",
    ]  # bread was bought


def test_what_the_model_has_never_seen_bought_comes_after_the_best_of_those_who_bought_its_like(shop, tables, tmp_path):
    """Of cake and jam the model knows nothing: bread was bought by ann and says what cake says."""
    unseen = {
        "model": trained_on(tmp_path / "export", "apple", "bread", "old"),
        "histories": shop.histories(ann=[("bread", 20)], gus=[("bread", 20)], u0=[("old", 20)]),
        "rules": shop.in_force(y={"action": "age_restricted", "item_id": "cake", "value": 35.0}),
        "users": shop.users(ann={"age": "35-44"}, gus={"age": "25-34"}, fay={"age": "35-44"}),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SURFACES", (replace(SURFACES[0], candidates=1),))
        rows = candidates(**(tables | unseen), day=shop.night).orderBy("user_id", "rank").collect()
    assert [(row["user_id"], row["item_id"]) for row in rows] == [
        ("ann", "bread"),
        ("ann", "cake"),
        ("ann", "jam"),
        ("fay", "bread"),  # bought nothing, so nothing is like it
        ("gus", "bread"),
        ("gus", "jam"),  # is too young for cake
    ]
    # as relevant as the model says: bread and cake both have 2, jam 0.1
    parts = np.exp([0, 0, -1.9])
    assert [row["relevance"] for row in rows[:3]] == pytest.approx(parts / parts.sum())


def test_rules_that_leave_nothing_are_named(shop, tables):
    nothing = tables | {"rules": shop.in_force(dear={"action": "price_band", "low": 2.0})}
    with pytest.raises(ValueError, match=r"leave nothing to show on surface 'home', night 2024-05-31; .* out: dear"):
        candidates(**nothing, day=shop.night)


def test_a_catalogue_of_one_item_and_no_purchase_head(shop, tables):
    one = {"apple": ([1.0, 0, 0.5],)}
    small = tables | {
        "vectors": shop.vectors({"ann": ([1.0, 2, 1],)}, one),
        "items": shop.items(shop.item("apple")),
        "users": shop.users(ann={}, fay={}),
    }
    rows = candidates(**small, day=shop.night).collect()
    assert sorted((r["user_id"], r["item_id"], r["rank"], r["relevance"], r["p_purchase"]) for r in rows) == [
        ("ann", "apple", 1, 1.0, None),
        ("fay", "apple", 1, 0.0, None),  # nobody bought it, so it has no share of what was bought
    ]


def test_where_clicks_are_known_a_purchase_takes_a_click_first():
    users = {"click_vector": [[1.0, 0.0]], "purchase_vector": [[2.0, 1.0]], "spend_vector": np.zeros((1, 0))}
    items = {"click_vector": [[0.5], [0.0]], "purchase_vector": [[1.0], [0.0]], "spend_vector": np.zeros((2, 0))}
    told = (({name: np.array(each) for name, each in side.items()}) for side in (users, items))
    found = answers(*told, np.array([[1, 0, -1]]), np.array([[3.0, 2.0, -np.inf]]))
    click, purchase = (1 / (1 + np.exp(-np.array(logits))) for logits in ([0, 0.5], [0 + 3, 2 + 2]))
    assert found["p_click"][0, :2] == pytest.approx(click)
    assert found["p_purchase"][0, :2] == pytest.approx(click * purchase)
    assert np.isfinite(found["p_purchase"]).all()
    assert np.isnan(found["spend"]).all()


def test_a_catalogue_without_an_item_on_sale_is_refused(shop, tables):
    nothing = tables | {"items": shop.items(shop.item("apple", on_sale=False))}
    with pytest.raises(ValueError, match=r"catalogue\.items: on_sale is true for no item with a vector"):
        candidates(**nothing, day=shop.night)


def test_softmax_of_rows_with_large_scores_and_of_an_empty_row():
    shares = softmax(np.array([[1000.0, 1000.0, -np.inf], [-np.inf] * 3, [0.0, np.log(0.25), -np.inf]]))
    np.testing.assert_allclose(shares, [[0.5, 0.5, 0], [0, 0, 0], [0.8, 0.2, 0]])
