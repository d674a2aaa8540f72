import importlib
from datetime import date
from random import Random

import numpy as np
import pyarrow as pa
import pytest

import schemas
from jobs.gate import judge
from jobs.profiles import classifier
from jobs.profiles import demographics as module
from jobs.profiles.demographics import demographics, features
from schemas.raw import BY_RUNNER

NIGHT = date(2024, 3, 1)
TABLE = schemas.table("profiles.demographics")


def person(number, kinds, **attributes):
    """Of the shop's ``number``: what is bought, and what is known."""
    counts = {
        "day": NIGHT,
        "segment": "new",
        "events": 4,
        "purchases": 4,
        "baskets": 2,
        "frequency": 0.5,
        "value": 13.0,
    }
    maps = {"categories": kinds, "attributes": attributes}
    maps |= {"brands": {}, "intent": {}, "parts_of_day": {"night": 1.0}, "weekdays": {"monday": 1.0}}
    return counts | maps | {"user_id": f"u{number:03}"}


def shop(known=60, others=3, seed=3):
    """The old buy tea, the young milk, all but one in ten; their homes tell nothing. Of the last no age is known."""
    random, rows = Random(seed), []
    for n in range(known + others):
        old = n % 2 == 0
        likes = "tea" if old != (n % 10 == 9) else "milk"
        kinds = {likes: 0.75, "milk" if likes == "tea" else "tea": 0.25}
        attributes = {"age": "65+" if old else "19-24", "home": random.choice(("owner", "renter"))}
        rows.append(person(n, kinds, **(attributes if n < known else {})))
    return rows


@pytest.fixture
def run(frame, monkeypatch):
    """profiles.demographics by (user_id, attribute), none of which the gate refuses."""
    monkeypatch.setattr(classifier, "FEWEST", 40)
    monkeypatch.setattr(classifier, "FOLDS", 2)

    def make(rows, wishes=(), parts=1):
        asked = [{"user_id": user, "preference": "no_profiling"} for user in wishes]
        given = frame("profiles.users", *rows).repartition(parts), frame("profiles.preferences", *asked)
        made = judge(demographics(*given, day=NIGHT), TABLE).collect()
        assert [row for row in made if row["_rule"]] == []
        return {(row["user_id"], row["attribute"]): tuple(row[name] for name in TABLE.column_names[3:]) for row in made}

    return make


def test_what_is_not_known_is_told_by_what_is_bought_where_that_tells_it(run):
    rows = shop()
    rows += [person(90, {}, age="19-24") | {"purchases": 0, "baskets": 0}, person(91, {}) | {"purchases": 0}]
    made = run(rows, wishes=["u060"])
    assert made.keys() == {(f"u{n:03}", name) for n in (*range(60), 61, 62, 90) for name in ("age", "home")} - {
        ("u090", "home")
    }
    # nine in ten are told right by their tea, half by calling all old; homes are told no better than by chance
    accuracy, frequent, people = made["u000", "age"][3:]
    assert (frequent, people) == (0.5, 60)
    assert accuracy == pytest.approx(0.9)
    assert made["u000", "age"][:3] == ("65+", "known", None)
    assert made["u009", "age"][:3] == ("19-24", "known", None)  # whatever is bought
    assert made["u090", "age"][:3] == ("19-24", "known", None)
    tea, milk = made["u062", "age"], made["u061", "age"]
    assert (tea[:2], milk[:2]) == (("65+", "predicted"), ("19-24", "predicted"))
    assert 0.8 < tea[2] < 0.97
    assert made["u062", "home"][:3] == (None, None, None)
    assert made["u000", "home"][1] == "known"
    assert made["u062", "home"][3] <= made["u062", "home"][4] + 0.1
    # in any order of the rows, and whatever else is known
    ages = [row | {"attributes": {k: v for k, v in row["attributes"].items() if k == "age"}} for row in rows[::-1]]
    assert run(ages, wishes=["u060"], parts=5) == {key: row for key, row in made.items() if key[1] == "age"}


def test_what_is_known_of_people_who_bought_nothing_is_told(run, caplog, monkeypatch):
    monkeypatch.setattr(module, "ATTRIBUTES", 1)
    looking = {"purchases": 0, "baskets": 0, "value": None, "frequency": 0.0}
    made = run([person(1, {}, age="65+") | looking, person(2, {}, age="19-24", home="owner") | looking])
    assert {key: row[:3] for key, row in made.items()} == {
        ("u001", "age"): ("65+", "known", None), ("u002", "age"): ("19-24", "known", None),
    }  # fmt: skip
    assert "only of 1 attributes, not of home" in caplog.text


def test_too_few_are_nobody_to_learn_from(run):
    made = run(shop(known=38))
    assert {row[3:] for row in made.values()} == {(None, None, 38)}
    assert {row[1] for row in made.values()} == {"known", None}
    assert run([person(1, {"tea": 1.0})]) == {}


def test_features_of_one_person():
    (row,) = features(
        pa.table(
            {name: [value] for name, value in {"purchases": 6, "baskets": 2, "value": 26.0, "frequency": 0.5}.items()}
            | {name: pa.array([None], pa.float64()) for name in ("price_level", "discount_share", "variety")}
            | {"discount_elasticity": [-0.5], "price_elasticity": [-1.5], "cadence_days": [7.0]}
            | {
                name: pa.array([list(shares.items())], pa.map_(pa.string(), pa.float64()))
                for name, shares in {
                    "parts_of_day": {"morning": 0.25, "evening": 0.75},
                    "weekdays": {"sunday": 1.0},
                    "categories": {"tea": 0.6, "gone": 0.4},
                }.items()
            }
        ),
        ["milk", "tea"],
    )
    logarithms = np.log1p([6, 2, 26.0, 0.5])
    # three lines and four units of money a basket: 6 / 2, and 26 over half a basket in each of thirteen weeks
    expected = [*logarithms, np.nan, np.nan, -0.5, -1.5, np.nan, np.log(8), np.log(4), np.log1p(4.0)]
    expected += [0, 0.25, 0, 0.75, *[0] * 6, 1.0, 0, 0.6]
    np.testing.assert_allclose(row, expected)


def test_a_temperature_makes_what_was_said_too_surely_as_sure_as_it_came_true():
    # margins of log 9 say 90 %, and three in four came true: log 3 is half of that
    margins = np.tile([[np.log(9), 0.0]], (8, 1))
    assert classifier.temperature(margins, np.array([0, 0, 0, 1] * 2)) == pytest.approx(2.0, abs=1e-3)


def test_no_list_is_made_by_what_was_guessed_of_people():
    jobs = [importlib.import_module(f"jobs.{name}") for name in schemas.TABLES if name not in BY_RUNNER]
    readers = [job.__name__ for job in jobs for read in job.READS.values() if read.table == TABLE.name]
    assert readers == []
