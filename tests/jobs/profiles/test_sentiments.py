from datetime import date

import schemas
from jobs.gate import judge
from jobs.profiles.sentiments import sentiments

NIGHT = date(2024, 3, 1)


def test_the_mean_by_category_of_who_may_be_profiled(frame):
    def review(name, user, item, sentiment, day=1, written=20):
        row = {"day": date(2024, 3, day), "review_id": name, "user_id": user, "item_id": item, "sentiment": sentiment}
        return row | {"written": date(2024, 2, written)}

    told = [
        review("a", "ann", "apple", 0.5),
        review("b", "ann", "pear", -0.2, written=25),
        review("c", "ann", "bread", -1.0),
        review("d", "ann", "apple", None),
        review("e", "ann", "gone", 1.0),
        review("f", "cy", "apple", 1.0),
        review("g", "bob", "bread", 1.0, day=1),
        review("g", "bob", "bread", -0.5, day=2),  # edited, delivered again
    ]
    items = [
        {"item_id": item, "category": kind}
        for item, kind in (("apple", "fruit"), ("pear", "fruit"), ("bread", "bakery"))
    ]
    wishes = [{"user_id": "cy", "preference": "no_profiling"}, {"user_id": "ann", "preference": "no_personalisation"}]
    given = frame("catalogue.reviews", *told), frame("catalogue.items", *items), frame("profiles.preferences", *wishes)
    made = (
        judge(sentiments(*given, day=NIGHT), schemas.table("profiles.sentiments")).drop("_source", "_reason").collect()
    )
    assert sorted(map(tuple, made)) == [
        (NIGHT, "ann", "bakery", -1.0, 1, date(2024, 2, 20), None),
        (NIGHT, "ann", "fruit", 0.15, 2, date(2024, 2, 25), None),
        (NIGHT, "bob", "bakery", -0.5, 1, date(2024, 2, 20), None),
    ]
