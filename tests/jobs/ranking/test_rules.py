"""What rules make of candidates: each action by hand, and the order in which they give way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.ranking.rules import Goods, Rule, Users, Wish, extended, pins, refusals, ruled

# apple and pear of brand 0 under 0 > 1, bread of brand 1 under 0 > 2, wine of no brand under 3 alone
GOODS = Goods(
    items=np.arange(4),
    brands=np.array([0, 0, 1, -1]),
    categories=np.array([1, 1, 2, 3]),
    paths=np.array([[0, 0, 0, 3], [1, 1, 2, -1]]),
    prices=np.array([1.0, 2.0, np.nan, 9.0]),
    stocked=np.array([True, False, True, False]),
    supply=np.array([2.0, 0.0, np.inf, 3.0]),
)
APPLE, PEAR, BREAD, WINE = range(4)
ALL = np.array([[APPLE, PEAR, BREAD, WINE]])


def users(*segments, ages=None, wishes=()):
    return Users(segments, np.full(len(segments), np.nan) if ages is None else np.array(ages, float), wishes)


def hold(*rules, positions=ALL, who=None, length=3):
    return ruled(rules, GOODS, positions, who or users("new"), length)


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        (Rule("r", "exclude", "item", PEAR), [True, False, True, True]),
        (Rule("r", "exclude", "brand", 0), [False, False, True, True]),
        (Rule("r", "exclude", "category", 0), [False, False, False, True]),
        (Rule("r", "exclude", "category", -1), [True, True, True, True]),
        (Rule("r", "exclude", "brand", -1), [True, True, True, True]),  # an unknown brand isn't that of wine
        (Rule("r", "exclude", "brand", 0, segment="loyal"), [True, True, True, True]),
        (Rule("r", "price_band", low=1.0, high=2.0), [True, True, False, False]),  # both ends lie inside
        (Rule("r", "price_band", low=1.5), [False, True, False, True]),
        (Rule("r", "price_band", "brand", 0, high=1.0), [True, False, True, True]),
        (Rule("r", "in_stock"), [True, False, True, False]),
        (Rule("r", "in_stock", "category", 3), [True, True, True, False]),
        (Rule("r", "expected_in_stock", value=3.0), [False, False, True, True]),
        (Rule("r", "expected_in_stock", "item", PEAR, value=27.0), [True, False, True, True]),
        (Rule("r", "age_restricted", "category", 3, value=18.0), [True, True, True, False]),
    ],
)
def test_what_is_kept_from_a_new_shopper_of_unknown_age(rule, allowed):
    held = hold(rule)
    assert held.allowed.tolist() == [allowed]
    assert held.refused_by.tolist() == [[-1 if may else 0 for may in allowed]]
    assert held.bump.tolist() == [[0, 0, 0, 0]]


def test_the_least_age_itself_is_old_enough():
    rule = Rule("r", "age_restricted", "item", WINE, value=18.0)
    found = refusals([rule], GOODS.at(np.full((3, 1), WINE)), users("new", "new", "new", ages=[17, 18, np.nan]))
    assert found.tolist() == [[0], [-1], [0]]


def test_boosts_and_buries_add_up_and_name_what_they_moved():
    held = hold(Rule("a", "boost", "brand", 0, value=0.5), Rule("b", "bury", "item", PEAR, value=0.5),
                Rule("c", "bury", "category", 3, value=0.25))  # fmt: skip
    assert held.bump.tolist() == [[0.5, 0, 0, -0.25]]
    assert {name: mask.tolist() for name, mask in held.moved.items()} == {
        "a": [[True, False, False, False]],  # what cancels moves nothing
        "b": [[False, False, False, False]],
        "c": [[False, False, False, True]],
    }


def test_a_wish_buries_for_its_user_alone():
    wishes = [Wish(1, "less_brand acme", "brand", 0), Wish(1, "less_category wine", "category", 3)]
    held = hold(positions=np.vstack([ALL, ALL]), who=users("new", None, wishes=wishes))
    assert held.bump.tolist() == [[0, 0, 0, 0], [-0.5, -0.5, 0, -0.5]]
    assert held.moved["less_brand acme"].tolist() == [[False] * 4, [True, True, False, False]]


def test_a_pin_stands_at_its_rank_and_beats_bury():
    held = hold(Rule("a", "pin", "item", BREAD, value=2.0), Rule("b", "bury", "category", 0, value=1.0))
    assert held.pinned.tolist() == [[-1, BREAD, -1]]
    assert held.bump.tolist() == [[-1, -1, 0, 0]]
    assert held.moved["a"].tolist() == [[False, False, True, False]]
    assert held.moved["b"].tolist() == [[True, True, False, False]]


def test_exclude_age_and_price_beat_a_pin():
    pin = Rule("a", "pin", "item", WINE, value=1.0)
    for other in (
        Rule("b", "exclude", "item", WINE),
        Rule("b", "age_restricted", "item", WINE, value=18.0),
        Rule("b", "price_band", high=5.0),
        Rule("b", "in_stock"),
    ):
        assert hold(pin, other).pinned.tolist() == [[-1, -1, -1]]
    adult = users("new", ages=[35])
    assert hold(pin, Rule("b", "age_restricted", "item", WINE, value=18.0), who=adult).pinned[0, 0] == WINE


def test_of_two_pins_the_first_keeps_the_rank_and_the_item():
    a, b = Rule("a", "pin", "item", APPLE, value=1.0), Rule("b", "pin", "item", PEAR, value=1.0)
    c = Rule("c", "pin", "item", APPLE, value=2.0)
    items, by = pins([a, b, c], GOODS, users("new"), 3)
    assert (items.tolist(), by.tolist()) == ([[APPLE, -1, -1]], [[0, -1, -1]])
    loyal = Rule("a", "pin", "item", APPLE, value=1.0, segment="loyal")
    items, by = pins([loyal, b, c], GOODS, users("new", "loyal"), 3)
    assert (items.tolist(), by.tolist()) == ([[PEAR, APPLE, -1], [APPLE, -1, -1]], [[1, 2, -1], [0, -1, -1]])


def test_of_several_rules_that_refuse_the_first_is_named():
    held = hold(Rule("a", "exclude", "item", WINE), Rule("b", "price_band", high=5.0))
    assert held.refused_by.tolist() == [[-1, -1, 1, 0]]


def test_a_pin_past_the_end_of_the_list_is_none():
    assert hold(Rule("a", "pin", "item", APPLE, value=4.0), length=3).pinned.tolist() == [[-1, -1, -1]]
    assert hold(Rule("a", "pin", "item", APPLE, value=3.0), length=3).pinned.tolist() == [[-1, -1, APPLE]]


@pytest.mark.parametrize(
    ("rule", "groups"),
    [
        (Rule("r", "cap_brand", value=2.0), [0, 0, 1, -1]),
        (Rule("r", "cap_category", value=2.0), [1, 1, 2, 3]),
        (Rule("r", "cap_brand", "brand", 1, value=2.0), [-1, -1, 0, -1]),
        (Rule("r", "cap_category", "category", 0, value=2.0), [0, 0, 0, -1]),  # together, whatever lies below
        (Rule("r", "cap_brand", value=2.0, segment="loyal"), [-1, -1, -1, -1]),
    ],
)
def test_a_cap_is_a_limit_of_groups(rule, groups):
    (limit,) = hold(rule).limits
    assert (limit.groups.tolist(), limit.most) == ([groups], 2)


def test_pinned_items_come_after_the_candidates_they_are_not_among():
    positions = np.array([[APPLE, PEAR], [BREAD, -1], [WINE, APPLE]])
    pinned = np.array([[BREAD, -1, PEAR], [-1, BREAD, -1], [PEAR, BREAD, -1]])
    assert extended(positions, pinned).tolist() == [
        [APPLE, PEAR, BREAD, -1], [BREAD, -1, -1, -1], [WINE, APPLE, PEAR, BREAD],
    ]  # fmt: skip
    nothing = np.full((3, 3), -1)
    assert extended(positions, nothing).tolist() == positions.tolist()


def test_padding_is_no_candidate_of_any_rule():
    held = hold(Rule("a", "boost", "brand", -1, value=1.0), Rule("b", "cap_brand", value=1.0), Rule("c", "in_stock"),
                positions=np.array([[BREAD, -1]]))  # fmt: skip
    assert held.allowed.tolist() == [[True, False]]
    assert held.bump.tolist() == [[0, 0]]
    assert held.limits[0].groups.tolist() == [[1, -1]]


RULES = st.builds(
    Rule,
    rule_id=st.text("abc", min_size=1, max_size=3),
    action=st.sampled_from(["pin", "boost", "bury", "exclude", "cap_brand", "price_band", "age_restricted"]),
    kind=st.just("item"),
    number=st.integers(0, 3),
    segment=st.sampled_from([None, "new"]),
    value=st.sampled_from([1.0, 2.0]),
    low=st.just(1.0),
    high=st.sampled_from([2.0, 9.0]),
)


@given(st.lists(RULES, max_size=6, unique_by=lambda rule: rule.rule_id), st.sampled_from(["new", "loyal", None]))
def test_no_set_of_rules_pins_what_it_refuses_or_one_item_twice(rules, segment):
    rules = sorted(rules, key=lambda rule: rule.rule_id)
    held = hold(*rules, who=users(segment))
    places = held.pinned[held.pinned >= 0]
    assert held.allowed[0, places].all()
    assert len(set(places.tolist())) == len(places)
    assert not held.bump[0, places].any()


@given(st.lists(RULES, max_size=6, unique_by=lambda rule: rule.rule_id))
def test_the_other_users_of_a_batch_change_nothing(rules):
    who = users("new", "loyal", None, ages=[1, 2, np.nan])
    together = hold(*rules, positions=np.repeat(ALL, 3, axis=0), who=who)
    for user in range(3):
        alone = hold(*rules, who=users(who.segments[user], ages=[who.ages[user]]))
        for name in ("allowed", "bump", "pinned"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[user])
