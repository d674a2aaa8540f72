"""The benchmark of fronts on a few made-up users: what it compares, and that a worse answer has a worse figure."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from benchmarks.pareto import beauty, exact, finding, gains, replay, weeks
from jobs.lists.bargains import Points
from jobs.ranking.rerank import Tastes
from jobs.ranking.values import Scale
from schemas.objectives import TERMS, Terms

DAY = date(2017, 11, 12)


def week(taken=((True, True), (True, True)), back=0, **changes):
    """Two users, a list of one place: the first item is more relevant, the second costs ten times as much."""
    hits = np.array(taken)
    given = {
        "day": DAY - timedelta(weeks=back),
        "users": np.array([3, 5]),
        "positions": np.array([[0, 1], [0, 1]]),
        "values": {
            "relevance": np.ma.array([[0.6, 0.4]] * 2),
            "satisfaction": np.ma.array([[0.3, 0.2]] * 2),
            "expected_revenue": np.ma.array([[0.6, 4.0]] * 2),
            "novelty": np.ma.array([[0.0, 1.0]] * 2),
            "fairness": np.ma.array([[1.0, 0.0]] * 2),
        },
        "units": np.eye(2, dtype=np.float32),
        "taken": hits,
        "paid": hits * np.linspace(1.0, 3.0, hits.shape[1]),
        "relevant": hits.sum(axis=1).clip(1),
        "price": np.array([[1.0, 10.0]] * 2),
        "audience": np.array(["new, steady", "loyal, varied"]),
        "length": 1,
    }
    return weeks.Week(**(given | changes))


def test_exact_shares_by_hand():
    # a change of the first user's list gains 6 for .03, of the second's 5 for .1; .04 of 2 may be given up
    value, gain = np.array([[1.0, 0.97], [1.0, 0.9]]), np.array([[0.0, 6.0], [0.0, 5.0]])
    told = exact.shares(gain, value, 1)
    assert told["ours"] == pytest.approx(1.0)
    assert told["relevance kept"] == pytest.approx(1.97 / 2)
    assert told["best swaps of each user"] == 0  # each alone may give up .02
    assert told["bound of the dual"] == pytest.approx((6 + 5 * 0.01 / 0.1) / 6)  # as if a part of a list could change


def test_a_ratio_is_chosen_on_the_weeks_before_and_judged_on_the_next():
    # by a power of .2 or so the dearer item stands first: as many hits, and three times the money
    kept = gains.bought([week(), week(back=-1)], {"by hand": gains.priced}, "revenue")["by hand"]["1% NDCG"]
    assert (kept["ndcg"], kept["gain"]) == (0, pytest.approx(2.0))
    # in the next week nobody takes it, and the ratio was chosen without knowing that
    fooled = week(((True, False), (True, False)), back=-1)
    lost = gains.bought([week(), fooled], {"by hand": gains.priced}, "revenue")["by hand"]["1% NDCG"]
    assert (lost["ndcg"], lost["gain"]) == (pytest.approx(-1), pytest.approx(-1))
    # where the first week's NDCG would fall, the ratio is 0
    careful = gains.bought([fooled, week(back=-1)], {"by hand": gains.priced}, "revenue")["by hand"]["2% NDCG"]
    assert (careful["ndcg"], careful["gain"]) == (0, 0)


def test_ways_score_as_they_say():
    one = week()
    np.testing.assert_allclose(gains.within_users(one, 0.5)[0], [[1.0, 0.5]] * 2)
    np.testing.assert_allclose(gains.priced(one, 1.0)[0], [[0.6, 4.0]] * 2)
    # scales are the means of both candidates, for a list is longer: .5 and 2.3
    expected = [0.6 / 0.5 + 0.5 * 0.6 / 2.3, 0.4 / 0.5 + 0.5 * 4 / 2.3]
    np.testing.assert_allclose(gains.ours_of_revenue(one, 0.5)[0][0], expected)
    assert gains.ours_of_diversity(one, 0.25)[1] == gains.diverse_within_users(one, 0.25)[1] == 0.25


def test_hypervolume_is_between_the_worst_and_the_best_of_all_searches():
    told = finding._covered({"ends": np.array([[0.0, 3.0], [2.0, 1.0]]), "half": np.array([[1.0, 3.0]])})
    # of the square from (0, 1) to (2, 3) the ends cover nothing, for each is worst in something
    assert told == {"ends": 0.0, "half": 0.5}


def test_what_may_be_chosen_keeps_to_the_floor_of_the_best_of_all_searches():
    floor = 100 * TERMS.floor
    told = finding._choosable({"one": np.array([[100.0, 3.0], [50.0, 9.0]]), "other": np.array([[99.0, 4.0]])})
    assert {name: each.tolist() for name, each in told.items()} == {
        "one": [[100 - floor, 3.0]], "other": [[99 - floor, 4.0]],
    }  # fmt: skip


def test_every_search_is_judged_on_the_week_after_and_re_ranking_where_tastes_are_known():
    random = np.random.default_rng(0)
    values = {name: np.ma.array(random.random((12, 20))) for name in week().values}
    positions = np.stack([random.permutation(30)[:20] for _ in range(12)])
    units = np.eye(4, dtype=np.float32)[random.integers(0, 4, 30)]
    hits = random.random((12, 20)) < 0.2
    told = {"values": values, "positions": positions, "units": units, "users": np.arange(12), "taken": hits}
    told |= {"paid": hits * random.random(hits.shape), "relevant": hits.sum(axis=1).clip(1)}
    told |= {"price": np.ones(hits.shape), "audience": np.repeat("new", 12)}
    tastes = Tastes.of(positions % 3, np.repeat(np.arange(12), 2), random.integers(0, 3, 24))
    one = week(**told, tastes=tastes)
    names, scales = ("relevance", "expected_revenue", "diversity"), one.scales()
    first, after = (
        each.trial({name: scales[name] for name in names[:-1]}) for each in (one, replace(one, taken=~hits))
    )
    found = finding.found(first, after, names, ("ndcg", "revenue", "diversity"), True)
    assert list(found) == list(finding.SEARCHES)
    assert all(each.evaluations <= 20 * finding.SEARCHES[title][1] for title, each in found.items())
    assert found["NSGA-II, ten times"].covered["this week"] >= found["NSGA-II"].covered["this week"]
    assert any(each.covered["this week"] != each.covered["the week after"] for each in found.values())
    plain = finding.found(replace(first, tastes=None), after, names, ("ndcg", "revenue", "diversity"), True)
    assert [title for title in finding.SEARCHES if title not in plain] == [
        "dual, re-ranking too", "NSGA-II, re-ranking too",
    ]  # fmt: skip


def test_lists_of_a_week_have_the_weights_of_the_users_audience():
    scales = dict.fromkeys(week().values, Scale(1.0, np.inf))
    names = (*scales, "diversity")
    weights = {"everybody": np.eye(6)[0], "loyal, varied": np.eye(6)[names.index("expected_revenue")]}
    had = replay._had(week(), weights, scales, names)
    # all of two items are listed: the first user's in the order 0, 1, the second's 1, 0; both were taken
    np.testing.assert_allclose(had[:, 0], 1)
    other = replay._had(week(((True, False), (True, False))), weights, scales, names)
    np.testing.assert_allclose(other[:, 0], [1, 1 / np.log2(3)])


def test_weeks_count_half_after_the_half_life():
    three = [week(back=back) for back in (2, 1, 0)]
    np.testing.assert_allclose(replay._counts(three, 3, Terms(half_life=7.0)), np.repeat([0.25, 0.5, 1.0], 2))


@pytest.mark.parametrize(
    ("rail", "last", "ndcg", "silent"),
    [
        ("none", {"relevance": 1.0, "diversity": 0.0}, 0.9, True),  # moved by .5
        ("floor", {"relevance": 1.0, "diversity": 0.0}, 0.99, False),
        ("none", {"relevance": 0.55, "diversity": 0.45}, 0.99, False),
        ("step", {"relevance": 0.55, "diversity": 0.45}, 0.9, True),  # below the floor
        ("back", {"relevance": 0.55, "diversity": 0.45}, 0.9, False),
    ],
)
def test_rails_that_should_have_spoken_are_named(rail, last, ndcg, silent):
    values = np.array([[1.0], [0.5]])
    points = Points(values, np.ones(2, bool), np.array([0.5, 0.5]), np.array([ndcg]), True, 0, 0, None, None, rail, "")
    told = replay._silent(week(), {"new": points}, {"new": last}, ("relevance", "diversity"), Terms())
    assert told == ([f"2017-11-12, new: rail {rail}"] if silent else [])


def test_what_a_week_is_made_of(split):
    asked = split(4, [(0, 5.0), (1, 3.0), (1, 3.0)], [(2, 9.0)]).asked
    tastes = weeks._tastes([["food", "fruit"], ["food"], [], ["food", "fruit", "apple"]], asked, np.array([1, 0]),
                           np.array([[3, 2], [3, 1]]))  # fmt: skip
    assert tastes.categories.tolist() == [[1, -1], [1, 0]]
    np.testing.assert_allclose(tastes.shares, [[0, 0], [2 / 3, 1 / 3]])
    assert tastes.groups.tolist() == [[-1, -1], [1, 0]]
    paid = replace(asked, amounts=np.array([2.0, 4.0, 6.0, np.nan]))
    assert weeks._prices(paid, 4).tolist() == [2, 5, 0, 0]
    both = weeks.joined([week(back=1), week()])
    assert both.day == DAY
    assert both.users.tolist() == [3, 5, 3, 5]
    assert weeks._audiences(np.array([0, 4, 5, 13]), np.array([0.1, 0.4, 0.2, 0.3])).tolist() == [
        "none, steady", "new, varied", "occasional, steady", "loyal, varied",
    ]  # fmt: skip


def test_beauty_offers_the_best_scores_and_knows_the_item_taken_next(split, monkeypatch):
    monkeypatch.setattr(beauty, "CANDIDATES", 2)
    asked = split(3, [(0, 1.0)], [(1, 1.0)], taken=[[2], [0]])
    scores = np.array([[0.0, 1.0, 1.0 + np.log(3)], [0.0, 2.0, 1.0]])
    made = beauty._trial(np.array([1, 0]), asked, scores.__getitem__, np.array([0.0, 1.0, 0.5]), np.eye(3, dtype="f4"))
    assert made.positions.tolist() == [[1, 2], [2, 1]]
    assert made.taken.tolist() == [[False, False], [True, False]]
    assert made.relevant.tolist() == [1, 1]
    ratio = made.values["relevance"][1, 0] / made.values["relevance"][1, 1]
    assert ratio == pytest.approx(3)
