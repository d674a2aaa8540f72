"""The front from rows of trials: scales, measures, audiences, and what holds the weights from night to night."""

from datetime import timedelta

import numpy as np
import pytest

from jobs.lists import front as module
from jobs.lists.audiences import audiences
from jobs.lists.front import front
from jobs.lists.held import lines
from jobs.lists.weighed import Weighed
from schemas.objectives import Terms

OFFERS = {  # relevance, p_purchase, spend, taken, paid
    "apple": (0.5, 0.5, 2.0, True, 2.0),
    "bread": (0.375, 0.25, 8.0, False, 0.0),
    "cake": (0.125, 0.25, 32.0, True, 4.0),
}
ITEMS = {"apple": [1, 0, 9], "bread": [1, 0, 9], "cake": [0, 1, 9]}


@pytest.fixture(scope="module")
def night(shop):
    """Rows by audience, in order of the points, of a night whose users of the last weeks are {nights back: users}."""

    def night(weeks, last=None, offers=OFFERS, costs=None, novelty=None, wishes=None, **terms):
        rows = [
            {
                "day": shop.night - timedelta(days=back),
                "surface": "home",
                "user_id": user,
                "item_id": item,
                "rank": rank,
            }
            | {"relevance": relevance, "p_purchase": p, "spend": spend, "taken": taken, "paid": paid, "relevant": 2}
            | {"novelty": novelty}
            for back, users in weeks.items()
            for user in users
            for rank, (item, (relevance, p, spend, taken, paid)) in enumerate(offers.items(), 1)
        ]
        sold = {"apple": ("own", 1), "bread": ("own", 1), "cake": ("big", 9)}
        items = [shop.item(name, brand=brand) | {"purchases_28d": n} for name, (brand, n) in sold.items()]
        items = [each | {"cost": (costs or {}).get(each["item_id"])} for each in items]
        candidates = shop.frame(
            "lists.candidates",
            *(
                {"surface": "home", "user_id": "ann", "item_id": item, "rank": rank, "relevance": each[0]}
                for rank, (item, each) in enumerate(offers.items(), 1)
            ),
        )
        people = {"ann": "loyal", "bob": "loyal", "cy": "new"}
        users = shop.frame(
            "profiles.users",
            *(
                {"user_id": name, "segment": segment, "attributes": {}, "purchases": 1}
                for name, segment in people.items()
            ),
        )
        vectors = shop.vectors({}, {name: (vector,) for name, vector in ITEMS.items()})
        given = (vectors, shop.items(*items), shop.histories(), users, shop.wishes(**(wishes or {})))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "TERMS", Terms(**terms))
            made = front(shop.frame("lists.trials", *rows), candidates, *given, last, day=shop.night)
        found = {}
        for row in sorted(shop.contract(made, "lists.front").collect(), key=lambda row: row["point"]):
            found.setdefault(row["audience"], []).append(row)
        return found

    return night


@pytest.fixture(scope="module")
def made(night):
    return night({0: ["ann", "bob", "cy"], 7: ["ann"], 3: ["bob"]}, search="grid", evaluations=30, prior=1.0)


def test_everybody_has_every_point_and_the_first_makes_the_lists(made):
    rows = made["everybody"]
    assert [row["point"] for row in rows] == list(range(len(rows)))
    assert [row["chosen"] for row in rows] == [True] + [False] * (len(rows) - 1)
    assert {row["search"] for row in rows} == {"grid"}
    assert all(sum(row["weights"].values()) == pytest.approx(1) for row in rows)
    # nobody clicks here, and what a list of three has of three items is all alike: so are novelty and fairness
    assert set(rows[0]["weights"]) == {
        "relevance", "satisfaction", "expected_revenue", "novelty", "fairness", "diversity"
    }  # fmt: skip
    # the trial of three nights ago overlaps with tonight's and waits; that of a week ago counts .5 ** (7 / 14)
    assert rows[0]["users"] == pytest.approx(3 + 0.5**0.5)
    assert sorted(made) == ["everybody", "loyal", "new"]
    assert made["loyal"][0]["users"] == pytest.approx(2 + 0.5**0.5)


def test_units_make_the_best_list_1_and_money_is_cut(made):
    units, caps = made["everybody"][0]["units"], made["everybody"][0]["caps"]
    # a list is longer than three candidates: the mean of all of them
    assert units["relevance"] == pytest.approx(1 / 3)
    assert units["satisfaction"] == pytest.approx(1 / 3)
    assert set(caps) == {"expected_revenue"}
    # of .5 x 2, .375 x 8 and .125 x 32, each four times, the 98th percentile
    assert caps["expected_revenue"] == pytest.approx(np.quantile([1, 3, 4] * 4, 0.98))


def test_measures_are_what_the_users_then_did(made):
    by_weights = {tuple(sorted(row["weights"].items())): row["measures"] for row in made["everybody"]}
    alone = {
        name: next(found for weights, found in by_weights.items() if dict(weights)[name] == pytest.approx(1))
        for name in ("relevance", "expected_revenue")
    }
    # by relevance apple, bread, cake; by revenue cake, bread, apple: the hits stand at 1 and 3 each time
    ideal = 1 + 1 / np.log2(3)
    assert alone["relevance"]["ndcg"] == alone["expected_revenue"]["ndcg"] == pytest.approx(1.5 / ideal)
    assert alone["relevance"]["revenue"] == pytest.approx(2 + 4, rel=0.01)  # 4 is cut at the 99th percentile
    # bread is like apple, cake isn't
    assert alone["relevance"]["diversity"] == pytest.approx(0.5)
    assert alone["relevance"]["fairness"] == pytest.approx(2 / 3)


def test_a_margin_is_weighed_and_measured_where_costs_are_told(night):
    rows = night({0: ["ann"]}, costs={"apple": 0.25, "bread": 0.5}, search="grid", evaluations=30)["everybody"]
    assert "margin" in rows[0]["weights"]
    # all three are listed; of the 2 paid for apple .75 is left, and nobody knows what cake costs
    assert {row["measures"]["margin"] for row in rows} == {1.5}


def test_everybodys_choice_tells_what_exploration_costs(made):
    # a list of three of three items leaves nothing to try
    row = made["everybody"][0]
    assert (row["explored"], row["explored_cost"]) == (0.2, 0.0)
    assert row["told"].endswith("Exploration of 0.20 places a list costs 0.00% of ndcg.")
    assert {each["explored"] for each in (*made["everybody"][1:], *made["loyal"])} == {None}


def test_a_night_without_trials_has_the_usual_weights_of_what_is_known(night):
    (row,) = night({})["everybody"]
    # candidates know relevance alone, and items their novelty, brands and the price 1
    assert row["weights"] == pytest.approx(
        {"relevance": 0.8, "expected_revenue": 0.1, "novelty": 0, "fairness": 0, "diversity": 0.1}
    )
    assert (row["measures"], row["search"], row["users"]) == ({}, "none", 0.0)
    assert row["units"]["relevance"] == pytest.approx(1 / 3)
    assert row["told"].startswith("Nobody took anything in the last seven days")


def last_night(shop, weights, **changes):
    row = {"day": shop.night - timedelta(days=1), "surface": "home", "audience": "everybody", "chosen": True}
    return shop.frame("lists.front", row | {"weights": weights, "measures": {"ndcg": 0.5}} | changes)


def test_novelty_is_that_of_the_trial_and_not_of_tonight(night):
    # tonight nobody has a history, so everything is as novel as can be
    told = {novelty: night({0: ["ann"]}, novelty=novelty, search="grid", evaluations=6) for novelty in (None, 0.25)}
    means = {novelty: {row["measures"]["novelty"] for row in rows["everybody"]} for novelty, rows in told.items()}
    assert means == {None: {1.0}, 0.25: {0.25}}


def test_who_has_come_to_refuse_personalisation_counts_no_more(night):
    weeks, about = {0: ["ann"], 7: ["ann", "bob"]}, {"search": "grid", "evaluations": 6}
    assert night(weeks, **about)["everybody"][0]["users"] == pytest.approx(1 + 2 * 0.5**0.5)
    refused = night(weeks, wishes={"ann": ["no_personalisation"]}, **about)
    assert refused["everybody"][0]["users"] == pytest.approx(0.5**0.5)


def test_weights_move_by_a_bounded_step_and_say_so(night, shop):
    weeks, about = {0: ["ann", "bob"]}, {"search": "grid", "evaluations": 30, "floor": 0.5, "step": 0.125}
    target = night(weeks, **about)["everybody"][0]
    assert (target["rail"], target["moved"]) == ("none", None)
    away = dict.fromkeys(target["weights"], 0.0) | {"novelty": 1.0}
    step = night(weeks, last_night(shop, away), **about)["everybody"][0]
    assert step["rail"] == "step"
    assert step["moved"] == pytest.approx(0.125)
    assert step["weights"]["novelty"] == pytest.approx(0.875 + 0.125 * target["weights"]["novelty"])
    assert "novelty 1.000 to 0.8" in step["told"]
    assert "weights move no more than a bounded step a night" in step["told"]
    near = night(weeks, last_night(shop, target["weights"]), **about)["everybody"][0]
    assert (near["rail"], near["moved"]) == ("none", pytest.approx(0))
    assert "The weights stay as they were last night." in near["told"]


def test_the_latest_of_the_nights_before_counts_and_untried_ones_do_not(night, shop):
    target = night({0: ["ann"]}, search="grid", evaluations=30)["everybody"][0]["weights"]
    older = last_night(shop, target, day=shop.night - timedelta(days=3))
    untried = last_night(shop, {"novelty": 1.0}, measures={})
    row = night({0: ["ann"]}, older.unionByName(untried), search="grid", evaluations=30)["everybody"][0]
    assert row["moved"] == pytest.approx(0)


def test_weights_below_the_floor_are_left_at_once(night, shop):
    # apple alone comes true; by revenue it stands last
    offers = {name: (*each[:3], name == "apple", 1.0 * (name == "apple")) for name, each in OFFERS.items()}
    bad = {"expected_revenue": 1.0}
    about = {"search": "grid", "evaluations": 30, "step": 0.01}
    row = night({0: ["ann"]}, last_night(shop, bad), offers=offers, **about)["everybody"][0]
    assert row["rail"] == "floor"
    assert row["moved"] > 0.01
    assert "fell below the floor" in row["told"]
    assert row["measures"]["ndcg"] == pytest.approx(1 / (1 + 1 / np.log2(3)))


def test_parameters_are_searched_told_and_moved_by_the_step(night, shop):
    about = {"search": "grid", "evaluations": 60, "floor": 0.5, "step": 0.125}
    names = ("dpp", "calibration", "category_share")
    rows = night({0: ["ann", "bob"]}, reranking=names, **about)["everybody"]
    assert {row["reranker"] for row in rows} == {"mmr", "dpp"}
    assert {row["calibration"] for row in rows} == {0.0, 0.02, 0.1, 0.3}
    assert {row["category_share"] for row in rows} == {0.2, 0.3, 0.5, 1.0}
    assert all(set(row["weights"]) == set(rows[0]["weights"]) for row in rows)
    # only the re-ranker differs from last night's, half of the list may be of one category and calibration is far
    target = rows[0]
    away = {"reranker": "mmr" if target["reranker"] == "dpp" else "dpp", "calibration": target["calibration"] + 0.25}
    last = last_night(shop, target["weights"], category_share=target["category_share"], **away)
    step = night({0: ["ann", "bob"]}, last, reranking=names, **about)["everybody"][0]
    assert (step["rail"], step["moved"]) == ("step", pytest.approx(0.125))
    assert step["calibration"] == pytest.approx(target["calibration"] + 0.125)
    assert step["reranker"] == away["reranker"]
    assert f"calibration {away['calibration']:.3f} to {step['calibration']:.3f}" in step["told"]
    # nights that know no parameters are neutral
    neutral = night({0: ["ann", "bob"]}, last, **about)["everybody"][0]
    assert (neutral["reranker"], neutral["calibration"], neutral["category_share"]) == ("mmr", 0.0, 1.0)


def test_what_a_user_took_in_the_trials_week_is_no_past_of_theirs(shop):
    row = {"day": shop.night, "surface": "home", "rank": 1, "item_id": "apple", "taken": True, "paid": 1.0}
    trials = shop.frame("lists.trials", *(row | {"user_id": user, "relevant": 1} for user in ("ann", "bob")))
    histories = shop.histories(ann=[("bread", 3), ("cake", 24), ("apple", 25)])
    users = shop.frame("profiles.users", *({"user_id": user, "segment": "new"} for user in ("ann", "bob")))
    vectors = shop.vectors({}, {"apple": ([1.0, 0.0],)})
    told = lines(trials, vectors, audiences(users), histories).collect()
    assert {each["user_id"]: each["past"] for each in told} == {"ann": ["bread", "cake"], "bob": None}
    told = lines(trials, vectors, audiences(users), None).collect()
    assert {each["past"] for each in told} == {None}


def test_fixed_weights_are_taken_as_they_are(night):
    fixed = (("relevance", 0.5), ("expected_revenue", 0.5))
    row = night({0: ["ann"]}, way="fixed", fixed=fixed, search="grid", evaluations=30)["everybody"][0]
    assert {name: weight for name, weight in row["weights"].items() if weight} == {
        "relevance": 0.5, "expected_revenue": 0.5
    }  # fmt: skip
    assert row["told"].startswith("Fixed weights")


def test_an_audience_is_told_in_words(shop):
    users = shop.frame(
        "profiles.users",
        {"user_id": "ann", "segment": "loyal", "discount_share": 0.4, "variety": 0.1},
        {"user_id": "bob", "segment": "new", "discount_share": 0.2, "variety": 0.3},
        {"user_id": "cy", "segment": "new", "discount_share": 0.3},
        {"user_id": "dan", "segment": "none"},
    )
    assert {row["user_id"]: row["audience"] for row in audiences(users).collect()} == {
        "ann": "loyal, bargains, steady",
        "bob": "new, full prices, varied",
        "cy": "new, full prices",
        "dan": "none",
    }


def test_lists_need_a_choice_for_everybody(shop):
    with pytest.raises(ValueError, match=r"lists.front: no point is chosen for everybody on 'home'"):
        Weighed.of(shop.front(audience="loyal", relevance=1.0), "home", None)
