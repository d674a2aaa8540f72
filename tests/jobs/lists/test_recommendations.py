"""The audit before publishing, and the whole way from an export to lists that pass it."""

import pytest

from jobs.lists.candidates import candidates
from jobs.lists.recommendations import audit, recommendations
from jobs.lists.staged import staged
from jobs.lists.vectors import vectors
from jobs.model import Model


def rows(shop, **lists):
    """ann=[(rank, item_id), ...] on the surface home."""
    return shop.frame(
        "lists.staged",
        *(
            {"surface": "home", "user_id": user_id, "rank": rank, "item_id": item_id, "rules": []}
            for user_id, each in lists.items()
            for rank, item_id in each
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
        offered = candidates(coded, catalogue, histories, users, log, *control, day=shop.night).localCheckpoint()
        lists = staged(offered, coded, catalogue, histories, users, *control, model, day=shop.night).localCheckpoint()
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
