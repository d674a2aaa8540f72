"""Who is told how much: cohorts of k or more, coarser where they would be smaller."""

from collections import Counter
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

import schemas
from jobs.gate import Counts, Gate, judge
from jobs.insight.cohorts import cohorts as counted
from jobs.privacy import Privacy
from jobs.profiles.cohorts import cohorts, generalised

NIGHT = date(2024, 3, 1)
TABLE, COUNTED = schemas.table("profiles.cohorts"), schemas.table("insight.cohorts")
RICH = {"age": "35-44", "income": "high"}
# segment, loyalty, topic, attributes; None is unknown
SHOP = {
    "a1": ("bargain", "loyal", "milk", RICH),
    "a2": ("bargain", "loyal", "milk", RICH),
    "b1": ("bargain", "loyal", "milk", {"age": "37", "income": "low"}),
    "b2": ("bargain", "loyal", "milk", {"age": " 32 ", "income": ""}),
    "c1": ("bargain", "loyal", "beef", {}),
    "c2": ("bargain", "loyal", None, {"age": "80"}),
    "d1": ("bargain", "new", "milk", RICH),
    "d2": ("bargain", "occasional", "milk", RICH),
    "e1": ("premium", "loyal", "milk", RICH),
    "e2": (None, "none", None, {}),
    "no": ("bargain", "loyal", "milk", RICH),
}


@pytest.fixture(scope="module")
def made(frame):
    """profiles.cohorts of SHOP for k = 2."""
    users, segments, topics = [], [], []
    for user, (segment, loyalty, topic, attributes) in SHOP.items():
        who = {"day": NIGHT, "user_id": user}
        users.append({**who, "segment": loyalty, "attributes": list(attributes.items())})
        segments += [{**who, "segment": segment}] if segment else []
        topics += [{**who, "topic": topic}] if topic else []
    wishes = [{"user_id": user, "preference": "more_variety"} for user in SHOP]
    wishes.append({"user_id": "no", "preference": "no_profiling"})
    made = cohorts(
        frame("profiles.users", *users).repartition(3),
        frame("profiles.segments", *segments),
        frame("profiles.topics", *topics),
        frame("profiles.preferences", *wishes),
        Privacy(k=2),
        day=NIGHT,
    )
    return judge(made, TABLE).where("_rule IS NULL").select(*TABLE.column_names).localCheckpoint()


def test_each_pair_is_told_as_much_as_two_have_in_common(made):
    assert {row["user_id"]: tuple(row)[2:] for row in made.collect()} == {
        **dict.fromkeys(("a1", "a2"), ("bargain", "loyal", "milk", "35-44", "high")),
        **dict.fromkeys(("b1", "b2"), ("bargain", "loyal", "milk", "30-39", "any")),
        **dict.fromkeys(("c1", "c2"), ("bargain", "loyal", "any", "any", "any")),
        **dict.fromkeys(("d1", "d2"), ("bargain", "any", "any", "any", "any")),
        **dict.fromkeys(("e1", "e2"), ("any",) * 5),
    }


def test_the_gate_counts_people_and_lets_no_smaller_group_through(made, tmp_path):
    five = (
        "5 smaller groups, expected at least 3 people alike in segment, loyalty, topic, age, income: tell less of "
        "them in the job, or leave them out; NIGHT_K says how many people a group needs"
    )
    assert Gate(str(tmp_path), k=3).audit(made, TABLE, Counts(10, 10, 0), NIGHT, "run").broken == [five]
    groups = judge(counted(made.repartition(3), day=NIGHT), COUNTED).select(*COUNTED.column_names).localCheckpoint()
    assert {row["people"] for row in groups.collect()} == {2}
    assert Gate(str(tmp_path), k=3).audit(groups, COUNTED, Counts(5, 5, 0), NIGHT, "run").broken == [five]
    # a person who has two rows is one
    twice = made.where("user_id <> 'a2'").unionByName(made.where("user_id = 'a1'"))
    broken = Gate(str(tmp_path), k=2).audit(twice, TABLE, Counts(10, 10, 0), NIGHT, "run").broken
    assert [line.split(" alike")[0] for line in broken[1:]] == ["1 smaller groups, expected at least 2 people"]


def test_who_is_left_over_is_hidden_among_the_smallest_of_the_coarsest_groups():
    """One of the last is alone; of the groups by segment alone, the two of y are fewer than the three of x."""
    cells = {
        ("x", "l", "t", "a", "i"): 2,
        **{("x", n, "t", "a", "i"): 1 for n in "123"},
        **{("y", n, "t", "a", "i"): 1 for n in "45"},
        ("z", "l", "t", "a", "i"): 1,
    }
    assert generalised(cells, 2) == {
        ("x", "l", "t", "a", "i"): ("x", "l", "t", "a", "i"),
        **{("x", n, "t", "a", "i"): ("x", "any", "any", "any", "any") for n in "123"},
        **{("y", n, "t", "a", "i"): ("any",) * 5 for n in "45"},
        ("z", "l", "t", "a", "i"): ("any",) * 5,
    }


def test_of_fewer_than_k_nothing_is_told_and_of_k_who_are_alike_everything():
    alike = {("x", "l", "t", "a", "i"): 9}
    assert generalised(alike, 10) == generalised({}, 1) == {}
    assert generalised(alike, 9) == {cell: cell for cell in alike}
    apart = {(*"xlta", str(n)): 1 for n in range(3)}
    assert generalised(apart, 1) == {cell: cell for cell in apart}


VALUES = st.tuples(*(st.sampled_from("pqr"[:n]) for n in (2, 3, 3, 2, 3)))


@given(st.dictionaries(VALUES, st.integers(1, 6), max_size=40), st.integers(1, 12))
def test_every_group_holds_k_and_nobody_is_told_what_is_not_so(cells, k):
    told = generalised(cells, k)
    assert told.keys() == (cells.keys() if sum(cells.values()) >= k else set())
    groups = Counter()
    for cell, group in told.items():
        assert all(shown in (value, "any") for value, shown in zip(cell, group, strict=True))
        groups[group] += cells[cell]
    assert all(people >= k for people in groups.values())
