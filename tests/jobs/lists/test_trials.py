"""What would have been offered a week ago, and what came true of it."""

from datetime import date

import numpy as np
import pytest

from jobs.lists import trials as module
from jobs.lists.trials import trials
from jobs.lists.vectors import vectors
from jobs.model import Model


@pytest.fixture(scope="module")
def tried(shop, export):
    """Rows by user and item. The night is 31 May, so what was taken from 25 May on is to be foreseen."""
    items = shop.items(
        shop.item("apple", "fruit"),
        shop.item("bread", "bakery"),
        shop.item("cake", "bakery red") | {"first_seen": date(2024, 5, 26)},
        shop.item("pear", "fruit", on_sale=False),
    )
    histories = shop.histories(
        ann=[("apple", 20, 2.0), ("bread", 25, 2.0), ("bread", 30, 1.5), ("cake", 30, 9.0)],
        bob=[("apple", 28)],  # nothing is known of him before
        cy=[("apple", 24)],  # and took nothing since
        dan=[("apple", 3), ("bread", 29)],  # wants no personalisation
    )
    users, wishes = shop.users(ann={}, bob={}, cy={}, dan={}), shop.wishes(dan=["no_personalisation"])
    trends = shop.trends(bread=(7.0, 7.0, 7.0, 1, 1))  # of the night, which nobody knew a week ago
    model = Model("7", "run-7", str(export))
    coded = vectors(items, histories, trends, model, None, None, day=shop.night).localCheckpoint()
    made = trials(coded, items, histories, users, wishes, model, day=shop.night)
    rows = shop.contract(made, "lists.trials").collect()
    assert {(row["day"], row["surface"], row["model_version"]) for row in rows} == {(shop.night, "home", "7")}
    return {(row["user_id"], row["item_id"]): row for row in rows}


def test_offered_is_what_was_on_sale_and_seen_to_who_then_took_something(tried):
    assert sorted(tried) == [("ann", "apple"), ("ann", "bread"), ("bob", "apple"), ("bob", "bread")]
    assert {user: tried[user, "apple"]["policy"] for user in ("ann", "bob")} == {"ann": "model", "bob": "popular"}


def test_what_came_true_is_each_item_once_with_all_that_was_paid(tried):
    told = {key: (row["taken"], row["paid"], row["relevant"]) for key, row in tried.items()}
    assert told == {
        ("ann", "apple"): (False, 0.0, 2),
        ("ann", "bread"): (True, 3.5, 2),  # cake, which wasn't offered, is the other
        ("bob", "apple"): (True, 0.0, 1),
        ("bob", "bread"): (False, 0.0, 1),
    }


def test_it_is_ranked_by_what_was_known_then(tried):
    # ann had apple alone, five days before the cut: fruit (1, 0, 0) / 6 + (1, 0, 0). Bread's trend of the night, which
    # would have put it first, was nothing then; apple's were ann's and cy's and dan's events
    assert (tried["ann", "apple"]["rank"], tried["ann", "bread"]["rank"]) == (1, 2)
    # of bob nothing was known: apple was popular then, bread wasn't bought yet
    assert (tried["bob", "apple"]["relevance"], tried["bob", "bread"]["relevance"]) == (1.0, 0.0)


def test_novelty_is_of_those_who_had_the_item_before_the_week(tried):
    # both who had anything had apple; bread is what ann, bob and dan took since
    assert {tried[user, "apple"]["novelty"] for user in ("ann", "bob")} == {0}
    assert {tried[user, "bread"]["novelty"] for user in ("ann", "bob")} == {1}


def test_money_is_of_what_was_paid_until_then(tried):
    # the head expects exp(7 / 6 / 4) of fruit, which counts three purchases beside the one of 2; bread was paid later
    assert tried["ann", "apple"]["spend"] == pytest.approx((2 + 3 * np.exp(7 / 24)) / 4)
    assert tried["ann", "bread"]["spend"] == 1


def test_a_sample_of_users_is_the_same_on_every_run(shop, export, monkeypatch):
    monkeypatch.setattr(module, "USERS", 2)
    items = shop.items(shop.item("apple", "fruit"))
    people = [f"user{n}" for n in range(6)]
    histories = shop.histories(**{name: [("apple", 20), ("apple", 30)] for name in people})
    users, model = shop.users(**{name: {} for name in people}), Model("7", "run-7", str(export))
    trends = shop.trends()
    coded = vectors(items, histories, trends, model, None, None, day=shop.night).localCheckpoint()

    def drawn(day):
        made = trials(coded, items, histories, users, shop.wishes(), model, day=day)
        return sorted(row["user_id"] for row in made.select("user_id").distinct().collect())

    assert len(drawn(shop.night)) == 2
    assert drawn(shop.night) == drawn(shop.night)
