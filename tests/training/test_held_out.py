"""Who is judged on what: groups as they stood at the cut, and what was paid after it."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from tests.training.conftest import DAY, write_histories, write_items
from training.data import load
from training.held_out import LEAST, HeldOut, attributes


@pytest.fixture
def night(tmp_path):
    """``LEAST`` loyal shoppers and as many new ones who all buy b twice in the held-out week, and one who doesn't."""
    loyal = {f"l{n:02}": [("a", age) for age in range(60, 8, -4)] + [("b", 2), ("b", 1)] for n in range(LEAST)}
    new = {f"n{n:02}": [("a", 200), ("c", 20), ("b", 3), ("b", 1)] for n in range(LEAST)}
    write_histories(tmp_path, loyal | new | {"gone": [("a", 30)]})
    write_items(tmp_path, {name: f"{name} thing" for name in "abcdefghijklmnopqrstu"})
    return load(str(tmp_path), DAY)


def lists(night, *names):
    """One list for all: these items, then the rest."""
    places = [night.item_ids.index(name) for name in names]
    order = places + [place for place in range(len(night.item_ids)) if place not in places]
    return np.repeat(np.array(order[:20])[None], 2 * LEAST, axis=0)


def test_repeats_count_once_as_hits_and_twice_as_money(night):
    held_out = HeldOut(night)
    assert len(held_out.users) == 2 * LEAST
    values = held_out.values(lists(night, "a", "b"))
    assert set(values["recall_at_5"]) == {1.0}
    assert set(values["mrr_at_5"]) == {0.5}
    assert set(values["revenue_at_5"]) == {2.0}


def test_groups_are_those_of_the_cut_and_small_ones_are_left_out(night):
    people = {"age": np.array(["25-34"] * (LEAST + 1) + [""] * LEAST), "shoe_size": np.array(["42"] * (2 * LEAST + 1))}
    held_out = HeldOut(night, people)
    # users are in the order of their ids: "gone" before the loyal and the new ones, who had 13 and 1 baskets of late
    assert {name: int(chosen.sum()) for name, chosen in held_out.groups.items()} == {
        "segment=loyal": LEAST,
        "segment=new": LEAST,
        "age=25-34": LEAST,
    }


def test_figures_of_a_group_are_of_its_users_alone(night):
    held_out = HeldOut(night)
    tops = lists(night, "a", "b")
    tops[LEAST:] = lists(night, "b", "a")[LEAST:]
    figures = held_out.figures(tops)
    assert figures.groups["segment=loyal"]["means"]["ndcg_at_10"] == pytest.approx(1 / np.log2(3))
    assert figures.groups["segment=new"]["means"]["ndcg_at_10"] == pytest.approx(1)
    low, high = figures.intervals["ndcg_at_10"]
    assert figures.means["ndcg_at_10"] == pytest.approx((1 / np.log2(3) + 1) / 2)
    assert low < figures.means["ndcg_at_10"] < high
    assert figures.means["coverage_at_5"] == pytest.approx(5 / len(night.item_ids))
    # everybody bought a, nobody b before the cut, and the new ones c
    users, share = len(night.user_ids), {"a": 2 * LEAST + 1, "b": 0.5, "c": LEAST}
    seven = 7 * np.log2(users / 0.5)
    expected = (sum(np.log2(users / share[name]) for name in "abc") + seven) / 10
    assert figures.means["novelty_at_10"] == pytest.approx(expected)


def test_attributes_come_from_the_nights_profiles(tmp_path):
    rows = pa.table(
        {
            "day": pa.array([DAY, DAY, DAY - timedelta(days=1)], pa.date32()),
            "user_id": ["u", "v", "w"],
            "attributes": pa.array(
                [[("age", "25-34")], [("income", "50K")], [("age", "old")]], pa.map_(pa.string(), pa.string())
            ),
        }
    )
    assert attributes(str(tmp_path), DAY, ["u"]) == {}
    write_deltalake(str(tmp_path / "profiles/users"), rows, partition_by=["day"])
    found = attributes(str(tmp_path), DAY, ["w", "u", "v"])
    assert {name: values.tolist() for name, values in found.items()} == {
        "age": ["", "25-34", ""],
        "income": ["", "", "50K"],
    }
