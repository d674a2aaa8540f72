from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

import schemas
from jobs.catalogue.trends import trends
from jobs.gate import judge
from jobs.lists.vectors import SCHEMA, sold
from tests.training.conftest import write_histories, write_items
from training.data import load
from training.trends import sales

NIGHT = date(2024, 3, 31)
END = datetime(2024, 4, 1, tzinfo=UTC)


@pytest.fixture
def made(frame):
    """Rows by item, of users with (item_id, days before the end of the night)."""

    def made(**users):
        rows = (
            {
                "user_id": user,
                "item_ids": [item for item, _ in events],
                "times": [END - timedelta(days=age) for _, age in events],
            }
            for user, events in users.items()
        )
        return trends(frame("behaviour.histories", *rows), day=NIGHT)

    return made


def test_counts_halve_and_weeks_are_counted_back_from_the_nights_end(made):
    """Apple: ann in weeks 3, 1 and twice in 0, bob in week 2; pear: twice in one week."""
    found = made(
        ann=[("apple", 22), ("apple", 10), ("apple", 3), ("apple", 2)],
        bob=[("apple", 16), ("pear", 7), ("pear", 7)],
    )
    kept = judge(found, schemas.table("catalogue.trends"))
    assert kept.where("_rule IS NOT NULL").count() == 0
    rows = {row["item_id"]: row for row in found.collect()}
    ages = np.array([22, 10, 3, 2, 16])
    for half_life in (2, 7, 30):
        assert rows["apple"][f"trend_{half_life}d"] == pytest.approx((0.5 ** (ages / half_life)).sum())
    assert rows["pear"]["trend_7d"] == 1.0
    assert {item: (row["weeks"], row["weeks_again"]) for item, row in rows.items()} == {"apple": (5, 2), "pear": (1, 0)}
    assert rows["apple"]["day"] == NIGHT


def test_an_item_that_nobody_took_has_no_row(made):
    assert made(ann=[]).count() == 0


def test_training_counts_the_same(made, spark, tmp_path):
    """What the model was trained on is what the lists are made with, for items that nobody bought too."""
    rng = np.random.default_rng(3)
    ages = (np.sort(rng.integers(1, 60, 30))[::-1] for _ in range(4))
    events = {f"u{user}": [(f"i{rng.integers(6)}", int(age)) for age in each] for user, each in enumerate(ages)}
    write_histories(tmp_path, events, NIGHT)
    items = [f"i{item}" for item in range(8)]
    write_items(tmp_path, dict.fromkeys(items, "milk"), NIGHT)
    night = load(str(tmp_path), NIGHT)
    ours = sales(night, night.cut + 7)  # the end of the night
    # the lake's events happened at 9 o'clock
    counted = made(**{user: [(item, age - 9 / 24) for item, age in each] for user, each in events.items()})
    encoded = spark.createDataFrame([(item, [1.0], [], [], []) for item in items], SCHEMA)
    theirs = {row["id"]: row["sales_vector"] for row in sold(encoded, counted, [1.0, 1.0, 1.0]).collect()}
    assert np.abs(ours).sum(0).min() > 1
    np.testing.assert_allclose(ours, [theirs[item] for item in items], rtol=1e-6)
