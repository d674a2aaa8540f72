"""What is asked of a shopper, and what of one who wants no personalisation."""

from jobs.lists.asking import agreed, asking


def test_ages_that_say_a_least_one_and_those_that_do_not(shop):
    given = {"a": "35-44", "b": "65+", "c": " 40", "d": "under 18", "e": "1985", "f": ""}
    users = shop.users(g={}, **{user: {"age": age} for user, age in given.items()})
    ages = {row["user_id"]: row["age"] for row in asking(users, shop.wishes()).collect()}
    assert ages == {"a": 35, "b": 65, "c": 40, "d": None, "e": None, "f": None, "g": None}


def test_who_refuses_has_no_segment_no_group_and_no_part_in_what_is_popular(shop):
    users = shop.frame(
        "profiles.users",
        *(
            {"user_id": user, "segment": "loyal", "purchases": 1, "attributes": {"age": "35-44"}}
            for user in ("ann", "bob", "cy")
        ),
    )
    wishes = shop.wishes(
        ann=["no_personalisation", ("less_brand", "acme")], cy=["no_profiling"], stranger=["no_personalisation"]
    )
    who = asking(users, wishes).localCheckpoint()
    told = {row["user_id"]: (row["personal"], row["segment"], row["group"], row["age"]) for row in who.collect()}
    assert told == {
        "ann": (False, None, None, 35),
        "bob": (True, "loyal", "aged 35-44", 35),
        "cy": (False, None, None, 35),
    }
    (ann,) = [row["wishes"] for row in who.collect() if row["user_id"] == "ann"]
    assert [tuple(wish) for wish in ann] == [("less_brand", "acme"), ("no_personalisation", None)]
    left = agreed(shop.histories(ann=[("apple", 1)], bob=[("apple", 1)], cy=[("apple", 1)]), who).collect()
    assert [row["user_id"] for row in left] == ["bob"]
