import logging
from datetime import date, timedelta

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta

import schemas
from jobs.gate import judge
from jobs.profiles import churn
from jobs.profiles.customers import customers
from jobs.profiles.habits import Rhythm
from jobs.profiles.lifetime import Lifetime, Spending, Visiting
from jobs.profiles.totals import totals
from jobs.profiles.visits import Summary, Visits, number

NIGHT = date(2024, 3, 1)
AHEAD = ("p_alive", "expected_purchases_90d", "expected_spend_90d", "lifetime_value", "p_churn", "next_purchase_day")
CDNOW = Visiting(r=0.243, alpha=4.414, a=0.793, b=2.426)  # weeks; table 2 of Fader, Hardie and Lee (2005)


def bought(user_id, days_ago, amount=10.0, **changes):
    day = NIGHT - timedelta(days=days_ago)
    row = {"day": day, "arrived": day, "event_type": "purchase", "user_id": user_id, "amount": amount}
    return row | {"event_id": f"{user_id}{days_ago}"} | changes


def so_far(log, preferences):
    return totals(log, None, None, preferences, day=NIGHT)


@pytest.fixture
def run(frame):
    """profiles.customers by user_id, none of which the gate refuses."""

    def make(*lines, refusing=()):
        wishes = [{"user_id": user, "preference": "no_profiling"} for user in refusing]
        told = customers(so_far(frame("behaviour.log", *lines), frame("profiles.preferences", *wishes)), day=NIGHT)
        made = judge(told, schemas.table("profiles.customers")).collect()
        assert [row for row in made if row["_rule"]] == []
        return {row["user_id"]: row.asDict() for row in made}

    return make


def known(*customers):
    """(x, t_x, T, m) a customer."""
    repeats, recency, age, spend = map(np.array, zip(*customers, strict=True))
    return Summary(repeats, recency, age, spend.astype(float))


def seen(*users):
    """Days before the night of each user, oldest first, ten of money each."""
    days = [np.sort(number(NIGHT) - np.array(each, dtype=np.int64)) for each in users]
    offsets = np.concatenate([[0], np.cumsum([len(each) for each in days])])
    flat = np.concatenate(days)
    return Visits(offsets, flat, np.ones(len(flat), bool), np.full(len(flat), 10.0))


def shop(customers, seed=0):
    """Days before the night of each of so many simulated customers, whose rates differ and some of whom leave."""
    rng, users = np.random.default_rng(seed), []
    for _ in range(customers):
        rate, leaves, day = rng.gamma(1.5, 0.1), rng.beta(1, 12), 250 - int(rng.integers(60))
        days = {day}
        while day > 0 and rng.random() > leaves:
            day -= max(1, int(rng.exponential(1 / rate)))
            days.add(max(day, 0))
        users.append(sorted(days, reverse=True))
    return users


def test_what_one_customer_did(run, caplog):
    """Lines of one day are one visit; what came back counts against the money, and a clock ahead of the night not."""
    with caplog.at_level(logging.WARNING):
        made = run(
            bought("ann", 100, 7.0),
            bought("ann", 30, 6.0, event_id="a"),
            bought("ann", 30, 4.0, event_id="b"),
            bought("ann", 9, 5.0),
            bought("ann", 3, 4.0, event_type="return"),
            bought("ann", -1, 99.0),
            bought("bob", 0, 1.0),
            bought("bob", 0, 50.0, event_type="return", event_id="c"),
            bought("cy", 8, 1.0),
            bought("cy", 6, 3.0),
            bought("cy", 5, 8.0, event_type="return"),
            bought("dan", 8, None),
            bought("dan", 1, None),
            bought("eve", 1, event_type="view"),
        )
    facts = ("first_day", "recency_days", "frequency", "age_days", "monetary")
    assert {user: tuple(row[name] for name in facts) for user, row in made.items()} == {
        "ann": (date(2023, 11, 22), 9, 2, 100, 5.5),
        "bob": (NIGHT, 0, 0, 0, None),
        "cy": (date(2024, 2, 22), 6, 1, 8, 0.0),  # more was brought back than bought
        "dan": (date(2024, 2, 22), 1, 1, 8, None),
    }
    loyal = {user: row["loyalty"] for user, row in made.items()}
    assert loyal == pytest.approx({"ann": 3 / 26, "bob": 1 / 26, "cy": 2 / 26, "dan": 2 / 26})
    assert {row[name] for row in made.values() for name in AHEAD[:-1]} == {None}
    told = [record.message for record in caplog.records if record.name.startswith("jobs.profiles")]
    assert [text.rsplit(": ", 1)[1] for text in told] == ["no lifetime value", "no p_churn"]


def test_a_shop_is_foretold_the_same_in_any_order_of_its_rows(run, frame, spark):
    users = shop(160)
    lines = [bought(f"u{n:03}", ago, 5.0 + n % 7) for n, days in enumerate(users) for ago in days]
    made = run(*lines)
    assert {name for row in made.values() for name in AHEAD if row[name] is None} == set()
    came = np.array([len(days) for days in users])
    expected = np.array([made[f"u{n:03}"]["expected_purchases_90d"] for n in range(160)])
    assert np.corrcoef(came, expected)[0, 1] > 0.5
    gone = np.array([min(days) > 120 for days in users])
    risk = np.array([made[f"u{n:03}"]["p_churn"] for n in range(160)])
    assert risk[gone].min() > risk[~gone].mean()
    shuffled = frame("behaviour.log", *reversed(lines)).repartition(5)
    again = customers(so_far(shuffled, frame("profiles.preferences")), day=NIGHT).collect()
    assert {row["user_id"]: row.asDict() for row in again} == {
        user: {name: value for name, value in row.items() if not name.startswith("_")} for user, row in made.items()
    }


def test_customers_who_are_all_alike_have_no_lifetime_value(run, caplog):
    made = run(*(bought(f"u{n}", ago, 5.0) for n in range(60) for ago in (40, 20)))
    assert {made[user][name] for user in made for name in AHEAD[:-1]} == {None}
    assert {row["next_purchase_day"] for row in made.values()} == {NIGHT + timedelta(days=2)}
    assert "all customers are alike" in caplog.text
    assert run() == {}
    assert run(bought("ann", 3), bought("bob", 3), refusing=["ann"]).keys() == {"bob"}


def test_expected_visits_are_the_papers():
    """A customer of section 4: 1.226 visits in 39 weeks; who never came back has not left by this model."""
    customer = known((2, 30.43, 38.86, np.nan), (0, 0.0, 38.86, np.nan))
    assert CDNOW.visits(customer, 39)[0] == pytest.approx(1.226, abs=5e-4)
    assert CDNOW.p_alive(customer) == pytest.approx([0.7266, 1.0], abs=5e-4)


@pytest.mark.parametrize(("x", "recency", "age"), [(0, 0.0, 20.0), (3, 15.0, 20.0), (300, 359.0, 360.0)])
def test_expected_visits_are_the_integral_over_rates_and_chances_to_leave(x, recency, age):
    """By the definition: visits of a customer of known rate and chance, averaged over what the past says of both."""
    model = Visiting(r=1.4, alpha=9.6, a=0.8, b=4.0)

    def average(function):
        def weighed(chance):
            return function(chance) * (1 - chance) ** x * beta.pdf(chance, model.a, model.b)

        return quad(weighed, 0, 1, points=(1e-3, 1e-2, 0.1), limit=400)[0]

    def visits_by(chance):
        # alive, the rate is gamma(r + x, alpha + T), over which exp(-rate * chance * 30) averages to this power
        return (1 - (1 + chance * 30 / (model.alpha + age)) ** -(model.r + x)) / chance

    future, alive = average(visits_by), average(lambda chance: 1)
    customer = known((x, recency, age, np.nan))
    expected = future / alive * model.p_alive(customer)[0]
    assert model.visits(customer, 30)[0] == pytest.approx(expected, rel=1e-4)


def test_money_of_a_visit_is_shrunk_to_everybodys_and_a_year_discounted():
    spending = Spending(p=6.25, q=3.74, v=15.44)
    customers = known((0, 0.0, 5.0, np.nan), (4, 3.0, 5.0, 20.0), (4, 3.0, 5.0, 0.0))
    assert spending.mean(customers) == pytest.approx([35.22, 6.25 * 95.44 / 27.74, 6.25 * 15.44 / 27.74], abs=0.01)
    for_ever = Visiting(r=1000.0, alpha=10_000.0, a=1e-9, b=1.0)  # all come every ten days, and nobody leaves
    value = Lifetime(for_ever, spending).value(known((0, 0.0, 0.0, np.nan)))
    monthly = 365 / 12 / 10 * 6.25 * 15.44 / 2.74
    assert value == pytest.approx([sum(monthly / 1.1 ** (month / 12) for month in range(1, 13))], rel=1e-3)


def test_churn_learns_from_nothing_after_the_day_it_asks_about():
    users = shop(30)
    later = [[ago for ago in days if ago >= 28] + [ago for ago in range(28) if n % 2] for n, days in enumerate(users)]
    rows, left, places = churn.examples(seen(*users), number(NIGHT))
    other_rows, other_left, other_places = churn.examples(seen(*later), number(NIGHT))
    np.testing.assert_array_equal(rows, other_rows)
    np.testing.assert_array_equal(places, other_places)
    assert (left[30:] == other_left[30:]).all()
    assert other_left[:30].tolist() == [n % 2 == 0 for n in range(30)]


def test_the_next_purchase_is_the_median_of_a_gap_that_is_known_to_be_longer():
    """Logarithms of gaps are normal about log 10: half of the gaps are longer, of those half than exp(m + s q)."""
    steady = Rhythm(mean=np.log(10), spread=0.5, weight=1e9)
    waits = steady.waits(seen([0], [10], [2000]), number(NIGHT))
    three_quarters = 0.6744897501960817  # of the standard normal distribution
    assert waits[0] == pytest.approx(10, abs=0.02)  # a day has hardly passed
    assert waits[1] == pytest.approx(10 * np.exp(0.5 * three_quarters) - 10, abs=0.5)
    assert waits[2] == pytest.approx(2000 * (np.exp(0.5 * np.log(2) / (np.log(200) / 0.5)) - 1), rel=0.05)


def test_everybodys_rhythm_weighs_more_where_customers_are_alike():
    alike = Rhythm.of(seen([40, 20, 10], [45, 25, 15], [50, 30, 20]))
    apart = Rhythm.of(seen([40, 20, 10], [9, 6, 3], [300, 200, 100]))
    assert (alike.weight, apart.weight) == (20.0, 0.5)
    assert alike.mean == pytest.approx(np.log(200) / 2)
    assert Rhythm.of(seen([3], [4])) is None
