"""Rules and preferences from candidates to the list: each row says what moved it, and why it is there."""

from dataclasses import replace
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pytest

from jobs.lists.blocks import Block
from jobs.lists.choice import chooser
from jobs.lists.house import House
from jobs.lists.named import Named
from jobs.lists.offered import Shelf
from jobs.lists.popularity import Popularity
from jobs.lists.weighed import Weighed
from jobs.ranking.rules import Rule
from jobs.ranking.values import Scale
from schemas.lists import Surface

NIGHT = date(2024, 5, 31)
ITEMS = {  # vector without and with the bias, brand, path, price
    "apple": ([1, 0, 0], "acme", ["food", "fruit"], 3.0),
    "bread": ([0, 1, 0], "oven", ["food", "bakery"], 1.0),
    "cake": ([0, 1, 0], "oven", ["food", "bakery"], None),
    "pear": ([1, 0, 0], "acme", ["food", "fruit"], 2.0),
}
OFFERS = {"apple": 0.5, "pear": 0.375, "bread": 0.125, "cake": 0.0}
WEIGHED = Weighed(
    ("relevance", "expected_revenue", "diversity"),
    {"everybody": np.array([0.7, 0.2, 0.1])},
    {"relevance": Scale(0.5, np.inf), "expected_revenue": Scale(1.5, np.inf)},
    None,
)
SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("audience", pa.string()),
        ("variety", pa.float64()),
        ("policy", pa.string()),
        ("segment", pa.string()),
        ("group", pa.string()),
        ("age", pa.int32()),
        ("buys", pa.bool_()),
        ("wishes", pa.list_(pa.struct([("preference", pa.string()), ("value", pa.string())]))),
        (
            "offers",
            pa.list_(
                pa.struct([("item_id", pa.string()), *((name, pa.float64()) for name in
                          ("relevance", "p_click", "p_purchase", "spend"))])
            ),
        ),
        ("item_ids", pa.list_(pa.string())),
        ("times", pa.list_(pa.timestamp("us", "UTC"))),
    ]
)  # fmt: skip


@pytest.fixture(scope="module")
def shelf():
    rows = [
        {"item_id": name, "title": name.title(), "vector": vector, "brand": brand, "category": path[1]}
        | {"category_path": path, "price": price, "available": True, "purchases_28d": 1, "sales_vector": []}
        | {"arrived": name == "cake", "days_of_supply": None, "cost": {"apple": 1.5, "pear": 3.0}.get(name)}
        for name, (vector, brand, path, price) in ITEMS.items()
    ]
    types = {name: pa.list_(pa.float32()) for name in ("vector", "sales_vector")} | {
        "price": pa.float64(),
        "days_of_supply": pa.int32(),
    }
    table = pa.table({key: pa.array([row[key] for row in rows], types.get(key)) for key in rows[0]})
    nobody = np.zeros((len(rows), 1), np.int64)
    return Shelf.of(Block(table["item_id"].combine_chunks(), table), Popularity({}, nobody, nobody, 0))


@pytest.fixture
def choose(shelf):
    """Rows of one user's list in order of rank, for raw rules {rule_id: (action, kind, name, figures)}."""

    def choose(rules=(), wishes=(), length=3, campaigns=None, weighed=WEIGHED, **changes):
        named: Named = shelf.named
        held = [
            Rule(rule_id, action, kind, named.number(kind, name), **more)
            for rule_id, (action, kind, name, more) in dict(rules).items()
        ]
        asked = [{"preference": wish, "value": None} if isinstance(wish, str) else
                 {"preference": wish[0], "value": wish[1]} for wish in wishes]  # fmt: skip
        offers = [{"item_id": item, "relevance": relevance} for item, relevance in OFFERS.items()]
        user = {"user_id": "ann", "policy": "model", "segment": "new", "buys": True, "wishes": asked}
        user |= {"offers": offers, "item_ids": ["apple"], "times": [datetime(2024, 5, 30)]}
        batch = pa.RecordBatch.from_pylist([user | changes], SCHEMA)
        (made,) = chooser(shelf, House(held, campaigns or {}), weighed, Surface("home", length, 200, True), NIGHT)(
            iter([batch])
        )
        return made.to_pylist()

    return choose


def column(rows, name):
    return [row[name] for row in rows]


def test_without_rules_and_wishes_nothing_moves(choose):
    rows = choose()
    # scaled relevance 1, .75, .25, 0 and revenue 1, .5, .08.., none; pear is like apple, bread and cake are not
    assert column(rows, "item_id") == ["apple", "pear", "bread"]
    assert column(rows, "rules") == [[], [], []]


def test_a_margin_is_what_the_cost_leaves_of_the_revenue_and_unknown_without_a_cost(choose):
    # apple .5 x 3 with half of it left, pear costs more than its price, bread's cost is not told
    assert column(choose(), "margin") == [0.75, 0.0, None]
    only = {"relevance": Scale(0.5, np.inf), "margin": Scale(1.0, np.inf)}
    weighed = Weighed(("relevance", "margin", "diversity"), {"everybody": np.array([0.0, 1.0, 0.0])}, only, None)
    rows = choose(weighed=weighed)
    assert column(rows, "item_id")[0] == "apple"
    assert column(rows, "score") == [0.75, 0.0, 0.0]


def test_what_is_excluded_is_not_chosen(choose):
    rows = choose({"r": ("exclude", "brand", "acme", {})})
    assert column(rows, "item_id") == ["bread", "cake"]
    assert column(rows, "rank") == [1, 2]


def test_a_cap_keeps_the_list_to_so_many_of_a_brand_and_a_pin_goes_before(choose):
    cap = ("cap_brand", "", None, {"value": 1.0})
    assert column(choose({"r": cap}), "item_id") == ["apple", "bread"]
    pin = ("pin", "item", "pear", {"value": 1.0})
    rows = choose({"p": pin, "r": cap})
    assert column(rows, "item_id") == ["pear", "bread"]
    assert column(rows, "rules") == [["p"], []]


def test_a_pin_past_what_there_is_leaves_no_gap(choose):
    rows = choose({"p": ("pin", "item", "cake", {"value": 3.0}), "x": ("exclude", "brand", "acme", {})})
    assert [(row["rank"], row["item_id"], row["rules"]) for row in rows] == [(1, "bread", []), (2, "cake", ["p"])]
    longer = choose({"p": ("pin", "item", "cake", {"value": 9.0})}, length=10)
    assert [(row["rank"], row["item_id"]) for row in longer] == [(1, "apple"), (2, "pear"), (3, "bread"), (4, "cake")]
    assert longer[3]["rules"] == ["p"]


def test_a_boost_is_told_and_names_its_campaign_only_where_it_brought_the_item(choose):
    until = {"b": ("summer", date(2024, 6, 30))}
    boost = {"b": ("boost", "brand", "oven", {"value": 1.0})}
    # scores: apple .7 + .2, bread .175 + .017 + 1, cake 1: bread, then cake .05 less for being like bread, then apple
    rows = choose(boost, campaigns=until)
    assert [(row["item_id"], row["rules"], row["reason"]) for row in rows] == [
        ("bread", ["b"], "On sale now."),  # it is third without
        ("cake", ["b"], "Part of our campaign summer, until 30 June 2024."),
        ("apple", [], "You bought this on 30 May 2024."),
    ]
    assert column(choose(boost), "reason")[1] == "On sale now."  # of no campaign
    pinned = choose({"b": ("pin", "item", "apple", {"value": 1.0})}, campaigns={"b": ("spring", None)})
    assert pinned[0]["reason"] == "Part of our campaign spring."


def test_boost_and_bury_of_one_item_cancel(choose):
    rows = choose({"a": ("boost", "item", "cake", {"value": 1.0}), "b": ("bury", "item", "cake", {"value": 1.0})})
    assert [(row["item_id"], row["rules"]) for row in rows] == [("apple", []), ("pear", []), ("bread", [])]


def test_a_segments_rule_is_for_that_segment(choose):
    rule = {"r": ("exclude", "brand", "acme", {"segment": "loyal"})}
    assert column(choose(rule), "item_id") == ["apple", "pear", "bread"]
    assert column(choose(rule, segment="loyal"), "item_id") == ["bread", "cake"]


def test_who_is_too_young_or_of_unknown_age_gets_no_restricted_item(choose):
    rule = {"r": ("age_restricted", "category", "bakery", {"value": 18.0})}
    assert column(choose(rule), "item_id") == column(choose(rule, age=17), "item_id") == ["apple", "pear"]
    assert column(choose(rule, age=18), "item_id") == ["apple", "pear", "bread"]


def test_the_cheapest_first_with_unknown_prices_last(choose):
    rows = choose(wishes=["sort_by_price"], length=4)
    assert column(rows, "item_id") == ["bread", "pear", "apple", "cake"]
    assert column(rows, "rank") == [1, 2, 3, 4]
    # without: apple, pear, bread, cake
    assert column(rows, "rules") == [["sort_by_price"], [], ["sort_by_price"], []]
    assert column(rows, "diversity") == [1, 1, 0, 0]


def test_an_audience_has_its_own_weights_and_a_taste_for_variety_moves_them(choose):
    own = {"everybody": np.array([0.7, 0.2, 0.1]), "loyal, varied": np.array([0.5, 0.1, 0.4])}
    weighed = Weighed(WEIGHED.names, own, WEIGHED.scales, 0.25)
    rows = choose(weighed=weighed, audience="loyal, varied", variety=0.5)
    # twice the average variety: .4 counts .8, and all are divided by 1.4
    assert dict(rows[0]["weights"]) == pytest.approx(
        {"relevance": 0.5 / 1.4, "expected_revenue": 0.1 / 1.4, "diversity": 0.8 / 1.4}
    )
    assert column(rows, "item_id") == ["apple", "bread", "pear"]
    assert dict(choose(weighed=weighed, audience="new")[0]["weights"]) == pytest.approx(
        {"relevance": 0.7, "expected_revenue": 0.2, "diversity": 0.1}
    )


def test_the_chosen_parameters_put_lists_together_but_for_those_who_want_no_personalisation(choose):
    def weighed(**parameters):
        return replace(WEIGHED, reranking={"everybody": parameters})

    assert column(choose(length=2), "item_id") == ["apple", "pear"]
    half = weighed(category_share=0.5)
    assert column(choose(length=2, weighed=half), "item_id") == ["apple", "bread"]
    for wish in ("no_personalisation", "no_profiling"):
        assert column(choose(length=2, weighed=half, wishes=[wish]), "item_id") == ["apple", "pear"]
    # a rule's cap holds beside it, and what is tried keeps to it too
    cap = {"r": ("cap_brand", "", None, {"value": 1.0})}
    assert column(choose(cap, length=2, weighed=half), "item_id") == ["apple", "bread"]
    tried = [column(choose(length=2, weighed=half, user_id=f"user{n}"), "item_id")[1] for n in range(40)]
    assert set(tried) == {"bread"}  # fruit and bakery are full
    # who bought bread alone pays log 100 for fruit in the first place, and about log 2 in the second
    for strength, item, listed in (
        (1.0, "bread", ["bread", "apple"]), (3.0, "bread", ["bread", "cake"]), (3.0, "pear", ["apple", "pear"]),
    ):  # fmt: skip
        past = {"item_ids": [item], "times": [datetime(2024, 5, 30)]}
        assert column(choose(length=2, weighed=weighed(calibration=strength), **past), "item_id") == listed
    # pear is all that apple is: it counts log 1e-6 by the dpp, and 0 by mmr
    assert column(choose(length=3, weighed=weighed(dpp=1.0)), "item_id") == ["apple", "bread", "pear"]


def test_variety_moves_its_weight_and_both_wishes_take_each_other_back(choose):
    plain = {"relevance": 0.7, "expected_revenue": 0.2, "diversity": 0.1}
    more, less = choose(wishes=["more_variety"]), choose(wishes=["less_variety"])
    assert dict(more[0]["weights"]) == pytest.approx(
        {n: (2 if n == "diversity" else 1) * w / 1.1 for n, w in plain.items()}
    )
    assert dict(less[0]["weights"]) == pytest.approx(
        {n: (0.5 if n == "diversity" else 1) * w / 0.95 for n, w in plain.items()}
    )
    assert column(more, "rules") == [["more_variety"]] * 3
    both = choose(wishes=["more_variety", "less_variety"])
    assert dict(both[0]["weights"]) == pytest.approx(plain)
    assert column(both, "rules") == [[]] * 3


def test_less_of_a_brand_or_category_buries_it(choose):
    rows = choose(wishes=[("less_brand", "acme")])
    # apple .95 - .5; pear .665 - .5 and less for being like apple; bread and cake as they were
    assert [(row["item_id"], row["rules"]) for row in rows] == [
        ("apple", ["less_brand acme"]), ("bread", []), ("pear", ["less_brand acme"]),
    ]  # fmt: skip
    assert rows[0]["score"] == pytest.approx(0.45)
    assert column(choose(wishes=[("less_category", "fruit")]), "item_id") == column(rows, "item_id")
    assert column(choose(wishes=[("less_brand", "nobody's")]), "item_id") == ["apple", "pear", "bread"]


def test_without_personalisation_relevance_alone_counts_and_nothing_of_the_history_is_told(choose):
    nothing = {"segment": None, "item_ids": None, "times": None, "policy": "popular"}
    for wish in ("no_personalisation", "no_profiling"):
        rows = choose(wishes=[wish, "more_variety"], **nothing)
        assert dict(rows[0]["weights"]) == {"relevance": 1, "expected_revenue": 0, "diversity": 0}
        assert column(rows, "rules") == [[wish]] * 3
    assert column(rows, "reason") == ["On sale now."] * 3
    assert column(rows, "policy") == ["popular"] * 3


def test_some_lists_try_an_item_and_every_row_says_how_likely_that_was(shelf):
    people = 4000
    offers = [{"item_id": item, "relevance": relevance} for item, relevance in OFFERS.items()]
    user = {"policy": "model", "segment": "new", "buys": True, "wishes": [], "offers": offers}
    batch = pa.RecordBatch.from_pylist([user | {"user_id": f"user{n}"} for n in range(people)], SCHEMA)

    def night(day):
        make = chooser(shelf, House([], {}), WEIGHED, Surface("home", 2, 200, True), day)
        return [row for part in make(iter([batch])) for row in part.to_pylist()]

    rows = night(NIGHT)
    assert rows == night(NIGHT)
    assert {row["item_id"] for row in rows if row["rank"] == 1} == {"apple"}  # the upper half of the list stays
    second = [row for row in rows if row["rank"] == 2]
    stays = [row for row in second if row["policy"] == "model"]
    assert {(row["item_id"], row["propensity"]) for row in stays} == {("pear", 0.8)}
    tried = [row for row in second if row["policy"] == "explore"]
    assert {row["reason"] for row in tried} == {"Shown to a few shoppers to learn who likes it."}
    # the model expects bread at 1/8 and cake never; but half of the places are for what has just arrived, as cake has
    odds = {row["item_id"]: row["propensity"] for row in tried}
    assert odds == pytest.approx({"bread": 0.1, "cake": 0.1})
    for item, likely in odds.items():
        assert sum(row["item_id"] == item for row in second) / people == pytest.approx(likely, abs=0.02)
    assert night(date(2024, 6, 1)) != rows  # another night draws anew


def test_no_more_is_tried_than_the_night_settled_on(choose):
    for places, policy in ((0.0, "model"), (1.0, "explore")):
        rows = [choose(weighed=replace(WEIGHED, explored=places), user_id=f"user{n}") for n in range(9)]
        assert all((policy == "explore") == ("explore" in column(each, "policy")) for each in rows)


def test_who_sorts_by_price_or_wants_no_personalisation_gets_nothing_to_try(choose):
    for number in range(40):
        for wish in ("sort_by_price", "no_personalisation", "no_profiling"):
            assert set(column(choose(wishes=[wish], user_id=f"user{number}"), "policy")) == {"model"}


def test_what_is_refused_pinned_or_at_its_limit_is_not_tried(choose):
    rules = {"c": ("cap_brand", "", None, {"value": 1.0}), "x": ("exclude", "item", "cake", {})}
    for number in range(40):
        rows = choose(rules, user_id=f"user{number}")
        # apple and bread; pear is of apple's brand, and cake is excluded: there is nothing left to try
        assert column(rows, "item_id") == ["apple", "bread"]
        assert column(rows, "propensity") == [1, 1]
    pinned = [
        choose({"p": ("pin", "item", "pear", {"value": 3.0})}, user_id=f"user{number}")[2] for number in range(40)
    ]
    assert {(row["item_id"], row["propensity"]) for row in pinned} == {("pear", 1)}
