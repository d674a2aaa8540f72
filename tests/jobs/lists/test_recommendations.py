"""The audit before publishing, and the whole way from an export to lists that pass it."""

import pytest

from jobs.lists.candidates import candidates
from jobs.lists.front import front
from jobs.lists.recommendations import audit, recommendations
from jobs.lists.staged import staged
from jobs.lists.trials import trials
from jobs.lists.vectors import vectors
from jobs.model import Model


def rows(shop, **lists):
    """ann=[(rank, item_id, rules that moved it), ...] on the surface home."""
    return shop.frame(
        "lists.staged",
        *(
            {"surface": "home", "user_id": user_id, "rank": rank, "item_id": item_id, "rules": moved_by}
            for user_id, each in lists.items()
            for rank, item_id, *moved_by in each
        ),
    )


@pytest.fixture(scope="module")
def items(shop):
    return shop.items(shop.item("apple"), shop.item("bread"), shop.item("old", on_sale=False))


def test_good_lists_pass(shop, items):
    lists = rows(shop, ann=[(1, "apple"), (2, "bread")], bob=[(1, "bread")])
    assert audit(lists, shop.users(ann={}, bob={}), items, shop.in_force(), shop.wishes()) == []


def test_each_broken_rule_is_told_with_its_first_example(shop, items):
    lists = rows(
        shop,
        ann=[(1, "apple"), (3, "bread")],
        bob=[(1, "bread"), (2, "bread")],
        cy=[(1, "old")],
        dan=[(1, "apple"), (1, "bread")],
        eve=[(2, "vanished")],
    )
    users = shop.users(ann={}, bob={}, cy={}, dan={}, eve={}, fay={}, gil={})
    before = "lists.recommendations, rule "
    assert audit(lists, users, items, shop.in_force(), shop.wishes()) == [
        f"{before}everybody: user_id of profiles.users has no list on the surface; 2 such, "
        "first surface 'home', user_id 'fay', value no list",
        f"{before}item_once: item_id stands more than once in the list; 1 such, "
        "first surface 'home', user_id 'bob', value [bread, bread]",
        f"{before}on_sale: item_id is not on sale in catalogue.items; 2 such, "
        "first surface 'home', user_id 'cy', value old",
        f"{before}ranks: rank doesn't run 1, 2, 3 without gaps in the list; 3 such, "
        "first surface 'home', user_id 'ann', value [1, 3]",
    ]


def test_each_rule_of_the_shop_is_held_against_the_lists(shop):
    items = shop.items(
        *(shop.item(name, brand="acme", path=["food", "fruit"]) for name in ("apple", "pear")),
        shop.item("bread", brand="oven", price=5.0), shop.item("cake", price=None), shop.item("wine", path=["wine"]),
        shop.item("rice", days_of_supply=2), shop.item("tea", days_of_supply=3),
    )  # fmt: skip
    rules = shop.in_force(
        age={"action": "age_restricted", "category": "wine", "value": 18.0},
        band={"action": "price_band", "high": 4.0},
        brands={"action": "cap_brand", "value": 1.0},
        no={"action": "exclude", "brand": "oven"},
        pin={"action": "pin", "item_id": "pear", "value": 1.0},
        stock={"action": "in_stock", "item_id": "cake"},
        supply={"action": "expected_in_stock", "value": 3.0},
        fruit={"action": "cap_category", "category": "food", "value": 1.0},
        elsewhere={"action": "exclude", "item_id": "apple", "surface": "discover"},
        loyal={"action": "exclude", "item_id": "apple", "segment": "loyal"},
    )
    users = shop.users(ann={"age": "17-20"}, bob={"age": "18-24"}, cy={}, dan={}, eve={}, fay={})
    lists = rows(
        shop,
        ann=[(1, "wine")],
        bob=[(1, "wine"), (2, "apple")],
        cy=[(1, "bread"), (2, "cake")],
        dan=[(1, "apple"), (2, "pear")],
        eve=[(1, "pear", "pin"), (2, "apple"), (3, "tea"), (4, "rice")],
    )
    about = "lists.recommendations, rule "
    first = "such, first surface 'home', user_id"
    assert audit(lists, users, items, rules, shop.wishes()) == [
        f"{about}age_restricted: item_id has a least age that the user is not known to have reached; 1 {first} 'ann', "
        "value wine by rule age",
        f"{about}cap_brand: more items of a brand stand in the list than a rule allows beside pinned ones; 1 {first} "
        "'dan', value 2 of acme by rule brands",
        f"{about}cap_category: more items of a category stand in the list than a rule allows beside pinned ones; 1 "
        f"{first} 'dan', value 2 of food by rule fruit",
        f"{about}everybody: user_id of profiles.users has no list on the surface; 1 {first} 'fay', value no list",
        f"{about}exclude: item_id is excluded by a rule of lists.rules; 1 {first} 'cy', value bread by rule no",
        f"{about}expected_in_stock: stock of item_id is not expected to last the days that a rule asks for; 1 {first} "
        "'eve', value rice by rule supply",
        f"{about}in_stock: item_id is not known to be in stock, which a rule asks for; 1 {first} 'cy', value cake by "
        "rule stock",
        f"{about}price_band: price of item_id is not known to lie in a rule's band; 2 {first} 'cy', value bread by "
        "rule band",
    ]


def test_who_may_be_shown_nothing_needs_no_list(shop):
    items = shop.items(shop.item("wine", path=["wine"]))
    rules = shop.in_force(age={"action": "age_restricted", "category": "wine", "value": 18.0})
    users = shop.users(ann={"age": "18-24"}, bob={}, cy={"age": "25-34"})
    (told,) = audit(rows(shop, ann=[(1, "wine")]), users, items, rules, shop.wishes())
    assert told.endswith("1 such, first surface 'home', user_id 'cy', value no list")


def test_from_an_export_to_lists_that_pass_and_a_rerun_gives_the_same_rows(shop, export):
    catalogue = shop.items(
        shop.item("apple", "fruit red"), shop.item("bread", "bakery", price=None), shop.item("cake", "bakery red"),
        shop.item("pear", "fruit", on_sale=False),
    )  # fmt: skip
    histories = shop.histories(ann=[("pear", 29), ("bread", 30)], bob=[("apple", 30)], cy=[("vanished", 30)])
    users = shop.users(ann={}, bob={"age": "35-44"}, cy={}, dan={"age": "35-44"})
    log = shop.frame("behaviour.log", {"user_id": "ann", "item_id": "bread", "event_type": "purchase"})
    trends = shop.trends(apple=(0.001, 0.002, 0.01, 0, 0))
    control = (shop.in_force(), shop.wishes())
    model = Model("7", "run-7", str(export))

    def night():
        # a checkpoint stands for the table that the next job reads
        coded = vectors(catalogue, histories, trends, model, None, None, day=shop.night).localCheckpoint()
        asked = (coded, catalogue, histories, users, log, *control, model)
        offered = candidates(*asked, day=shop.night).localCheckpoint()
        tried = trials(coded, catalogue, histories, users, control[1], model, day=shop.night).localCheckpoint()
        given = (offered, coded, catalogue, histories, users)
        found = front(tried, *given, control[1], None, day=shop.night).localCheckpoint()
        lists = staged(*given, *control, found, model, day=shop.night).localCheckpoint()
        return shop.contract(
            recommendations(lists, users, catalogue, *control, day=shop.night), "lists.recommendations"
        )

    published = night()
    assert audit(published, users, catalogue, *control) == []
    made = {(row["user_id"], row["rank"]): row.asDict() for row in published.collect()}
    assert made == {(row["user_id"], row["rank"]): row.asDict() for row in night().collect()}
    # three items are on sale, fewer than a list holds: everybody gets all three
    assert {place: row["policy"] for place, row in made.items()} == {
        (user_id, rank): policy
        for user_id, policy in (("ann", "model"), ("bob", "model"), ("cy", "popular"), ("dan", "popular"))
        for rank in (1, 2, 3)
    }
    assert made["ann", 1]["item_id"] == "bread"
    assert made["ann", 1]["reason"] == "You bought this on 30 May 2024."
