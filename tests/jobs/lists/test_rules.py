"""Tonight's rules: windows, names that mean nothing, and who gave way to whom, all of one night."""

from datetime import date

import pytest

from jobs.lists.rules import rules

ACTIVE, BEATEN, NOTHING = "active", "overridden", "names_nothing"
NIGHT = date(2024, 5, 31)


def pin(item, rank, **more):
    return {"action": "pin", "item_id": item, "value": float(rank)} | more


def window(start, end):
    return {"action": "exclude", "item_id": "soap", "start_day": start, "end_day": end}


WRITTEN = {
    # windows: both days belong to it
    "w_first": window(NIGHT, date(2024, 6, 1)) | {"segment": "loyal"},
    "w_last": window(None, NIGHT) | {"segment": "loyal"},
    "w_soon": window(date(2024, 6, 1), None),
    "w_past": window(None, date(2024, 5, 30)),
    # names
    "n_item": {"action": "exclude", "item_id": "aple"},
    "n_brand": {"action": "boost", "brand": "Acme", "value": 0.5},
    "n_gone": {"action": "boost", "item_id": "old", "value": 0.5},
    "n_surface": pin("jam", 1, surface="hoem"),
    "n_rank": pin("jam", 11),
    # contradictions
    "x_exclude": {"action": "exclude", "category": "bakery"},
    "x_pin": pin("bread", 3),
    "x_boost": {"action": "boost", "brand": "oven", "value": 0.5},
    "p_a": pin("apple", 1),
    "p_b": pin("jam", 1),
    "p_c": pin("apple", 2),
    "p_d": pin("jam", 4, segment="new"),
    "s_bury": {"action": "bury", "item_id": "apple", "value": 0.25},
    "s_plus": {"action": "boost", "item_id": "jam", "value": 0.25},
    "s_minus": {"action": "bury", "category": "food", "value": 0.25},
    "c_cap": {"action": "cap_brand", "value": 2.0, "end_day": date(2024, 6, 30)},
    "c_age": {"action": "age_restricted", "item_id": "jam", "value": 18.0},
}


@pytest.fixture(scope="module")
def told(shop):
    items = shop.items(
        shop.item("apple", brand="acme", path=["food", "fruit"]),
        shop.item("bread", brand="oven", path=["food", "bakery"]),
        shop.item("jam", path=["food", "jars"]),
        shop.item("old", on_sale=False, brand="acme"),
        shop.item("soap"),
    )
    made = shop.contract(rules(items, shop.rules(**WRITTEN), day=NIGHT), "lists.rules").collect()
    assert [row["rule_id"] for row in made] == sorted(WRITTEN)
    return {row["rule_id"]: row for row in made}


@pytest.mark.parametrize(
    ("rule_id", "state", "items", "sentence"),
    [
        ("w_first", ACTIVE, 1, "Names 1 item on sale until 1 June 2024."),
        ("w_last", ACTIVE, 1, "Names 1 item on sale until 31 May 2024."),
        ("w_soon", "not_yet", 1, "Starts on 1 June 2024."),
        ("w_past", "over", 1, "Ended on 30 May 2024."),
        ("n_item", NOTHING, 0, "The catalogue has no item 'aple': mend the name, or take the rule out."),
        ("n_brand", NOTHING, 0, "The catalogue has no brand 'Acme': mend the name, or take the rule out."),
        ("n_gone", NOTHING, 0, "Nothing of item 'old' is on sale."),
        ("n_surface", NOTHING, 1, "No surface is called 'hoem'; there are: home."),
        ("n_rank", NOTHING, 1, "Rank 11 lies past the 10 places of a list."),
        ("x_exclude", ACTIVE, 1, "Names 1 item on sale."),
        ("x_pin", BEATEN, 1, "Rule 'x_exclude' (exclude) keeps out all that it names."),
        ("x_boost", BEATEN, 1, "Rule 'x_exclude' (exclude) keeps out all that it names."),
        ("p_a", ACTIVE, 1, "Names 1 item on sale."),
        ("p_b", BEATEN, 1, "Rule 'p_a' pins to rank 1 too, and its id sorts first."),
        ("p_c", BEATEN, 1, "Rule 'p_a' pins the same item, and its id sorts first."),
        ("p_d", ACTIVE, 1, "Names 1 item on sale."),
        ("s_bury", BEATEN, 1, "Rule 'p_a' (pin) puts all that it names in a place."),
        ("s_plus", ACTIVE, 1, "Names 1 item on sale; its strength and that of rule 's_minus' add up."),
        (
            "s_minus",
            ACTIVE,
            3,
            "Names 3 items on sale; rule 'x_exclude' keeps some of them out; its strength and that of rule 's_plus' "
            "add up.",
        ),
        ("c_cap", ACTIVE, 4, "Names 4 items on sale until 30 June 2024; rule 'x_exclude' keeps some of them out."),
        ("c_age", ACTIVE, 1, "Names 1 item on sale."),
    ],
)
def test_each_rule_is_told_its_state_and_why(told, rule_id, state, items, sentence):
    row = told[rule_id]
    assert (row["state"], row["items"], row["told"]) == (state, items, sentence)


def test_a_rule_comes_along_as_it_was_written(told):
    row = told["c_cap"]
    assert (row["action"], row["value"], row["end_day"], row["brand"]) == ("cap_brand", 2.0, date(2024, 6, 30), None)


def test_without_rules_there_are_no_rows(shop):
    items = shop.items(shop.item("apple"))
    assert rules(items, None, day=NIGHT).collect() == rules(items, shop.rules(), day=NIGHT).collect() == []
