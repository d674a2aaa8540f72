"""Lists by hand: the blend of candidates, and every column of the public table."""

from datetime import date

import pytest

from jobs.lists.staged import staged
from jobs.model import Model


@pytest.fixture(scope="module")
def night(shop):
    """{user: rows in order of rank} under rules and preferences: ann has a history, bob has none and no prices, cy
    looked but never bought.
    """
    return lambda rules, preferences: _night(shop, rules, preferences)


@pytest.fixture(scope="module")
def lists(shop, night):
    return night(shop.in_force(), shop.wishes())


def _night(shop, rules, preferences):
    offers = {
        "ann": [("apple", 0.6, 0.5, None), ("pear", 0.3, 0.75, 5.0), ("bread", 0.1, 0.25, None)],
        "bob": [("jam", 0.8, None, None), ("soap", 0.2, None, None)],
        "cy": [("pear", 0.5, None, None), ("jam", 0.5, None, None)],
    }
    candidates = shop.frame(
        "lists.candidates",
        *(
            {"surface": "home", "user_id": user_id, "item_id": item_id, "rank": rank, "relevance": relevance}
            | {"p_click": p, "p_purchase": p, "spend": spend}
            | {"policy": "popular" if user_id == "bob" else "model", "model_version": "7"}
            for user_id, each in offers.items()
            for rank, (item_id, relevance, p, spend) in enumerate(each, 1)
        ),
    )
    frame = staged(
        candidates,
        shop.vectors(
            {},
            {  # the last dimension is the item's bias: without it apple and pear are alike, bread is not
                "apple": ([2, 0, 9],),
                "pear": ([4, 0, -9],),
                "bread": ([0, 1, 0],),
                "jam": ([0, 1, 0],),
                "soap": ([1, 0, 0],),
            },
        ),
        shop.items(
            shop.item("apple", price=2.0),
            shop.item("pear", price=4.0),
            shop.item("bread", price=None, brand="own"),
            shop.item("jam", price=None, path=["spread"]),
            shop.item("soap", price=None),
        ),
        shop.histories(ann=[("apple", 3), ("apple", 12), ("apple", 21)], cy=[("apple", 30)]),
        shop.users(ann={}, bob={"age": "35-44"}, cy=None),
        rules,
        preferences,
        shop.front({"relevance": 0.5, "expected_revenue": 4.0}, relevance=0.7, expected_revenue=0.2, diversity=0.1),
        Model("7", "run-7", "unused"),
        day=shop.night,
    )
    found = {}
    for row in sorted(shop.contract(frame, "lists.staged").collect(), key=lambda row: row["rank"]):
        found.setdefault(row["user_id"], []).append(row)
    return found


def test_vectors_of_another_model_version_are_refused(shop):
    empty = [
        shop.frame(name)
        for name in (
            "lists.candidates",
            "behaviour.histories",
            "profiles.users",
            "lists.rules",
            "profiles.preferences",
            "lists.front",
        )
    ]
    vectors = shop.vectors({}, {"apple": ([1, 0],)})
    with pytest.raises(ValueError, match=r"lists\.vectors: model_version is '7', but lists are asked for with '8'"):
        staged(
            empty[0], vectors, shop.items(shop.item("apple")), *empty[1:], Model("8", "run", "unused"), day=shop.night
        )


def column(rows, name):
    return [row[name] for row in rows]


def test_the_blend_orders_the_list_and_its_parts_are_kept(lists):
    ann = lists["ann"]
    # over the units: relevance 1.2, 0.6, 0.2; revenue 2 x 0.6 = 1.2 (its price) and 5 x 0.3 = 1.5 as 0.3 and 0.375,
    # bread has none; weights .7 .2 .1
    # first: apple 0.84 + 0.06 + 0.05 = 0.95, pear 0.42 + 0.075 + 0.05
    # second: pear is like apple, 0.42 + 0.075 + 0 = 0.495, bread 0.14 + 0 + 0.05
    assert column(ann, "item_id") == ["apple", "pear", "bread"]
    assert column(ann, "rank") == [1, 2, 3]
    assert column(ann, "score") == pytest.approx([0.95, 0.495, 0.19])
    assert column(ann, "relevance") == [0.6, 0.3, 0.1]
    assert column(ann, "p_purchase") == column(ann, "p_click") == [0.5, 0.75, 0.25]
    assert column(ann, "satisfaction") == pytest.approx([0.5, 0.75, 0.25])  # .3 of the one and .7 of the other
    assert column(ann, "expected_revenue") == [pytest.approx(1.2), pytest.approx(1.5), None]
    assert column(ann, "fairness") == [None, None, 1.0]  # nobody sold anything of late, so nobody is large
    # both people with a history had apple of late
    assert column(ann, "novelty") == pytest.approx([0, 1, 1])
    assert column(ann, "diversity") == pytest.approx([1, 0, 1])
    assert ann[0]["weights"] == pytest.approx({"relevance": 0.7, "expected_revenue": 0.2, "diversity": 0.1})


def test_without_prices_the_weight_of_revenue_goes_to_the_others(lists):
    bob = lists["bob"]
    weights = {"relevance": 0.875, "expected_revenue": 0, "diversity": 0.125}
    assert all(row["weights"] == pytest.approx(weights) for row in bob)
    assert column(bob, "expected_revenue") == [None, None]
    assert column(bob, "score") == pytest.approx([0.875 * 1.6 + 0.0625, 0.875 * 0.4 + 0.0625])


def test_without_heads_revenue_is_relevance_times_the_price(lists):
    assert column(lists["cy"], "item_id") == ["pear", "jam"]
    assert column(lists["cy"], "expected_revenue") == [2.0, None]


def test_reasons_tell_what_is_known(lists):
    assert column(lists["ann"], "reason") == [
        "You buy this about every 9 days, last on 21 May 2024.",
        "Because you bought Apple on 21 May 2024.",
        "On sale now.",
    ]
    assert column(lists["bob"], "reason") == ["On sale now."] * 2
    assert column(lists["cy"], "reason")[0] == "Because you looked at Apple on 30 May 2024."


def test_rules_and_preferences_from_the_tables_to_the_list(shop, night):
    written = {
        "p": {"action": "pin", "item_id": "pear", "value": 1.0, "campaign_id": "spring", "end_day": date(2024, 6, 30)},
        "x": {"action": "exclude", "brand": "own"},
        "y": {"action": "age_restricted", "item_id": "jam", "value": 18.0},
        "z": {"action": "boost", "item_id": "soap", "value": 1.0, "surface": "elsewhere"},
    }
    wishes = shop.wishes(ann=["no_personalisation"], bob=["sort_by_price", ("less_category", "spread")])
    made = night(shop.in_force(**written), wishes)
    told = {user: [(row["item_id"], row["rules"], row["reason"]) for row in rows] for user, rows in made.items()}
    spring = "Part of our campaign spring, until 30 June 2024."
    assert told == {
        # her history says much of apple, and nothing of it is told; bread is excluded
        "ann": [("pear", ["no_personalisation", "p"], spring), ("apple", ["no_personalisation"], "On sale now.")],
        # he is 35: jam, 1.4625 - .5, and soap .4125; prices are not known, so their order stays
        "bob": [("jam", ["less_category spread"], "On sale now."), ("soap", [], "On sale now.")],
        "cy": [("pear", ["p"], spring)],  # of unknown age
    }
    assert made["ann"][0]["weights"] == {"relevance": 1, "expected_revenue": 0, "diversity": 0}
    assert made["bob"][0]["score"] == pytest.approx(0.9625)


def test_every_row_says_where_it_comes_from(lists, shop):
    stamps = {
        tuple(row[name] for name in ("day", "surface", "propensity", "model_version", "run_id"))
        for rows in lists.values()
        for row in rows
    }
    assert stamps == {(shop.night, "home", 1.0, "7", "run-7")}
    assert {user_id: rows[0]["policy"] for user_id, rows in lists.items()} == {
        "ann": "model",
        "bob": "popular",
        "cy": "model",
    }
