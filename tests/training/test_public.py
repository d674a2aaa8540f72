"""A night without counts over users."""

from datetime import date
from pathlib import Path

import numpy as np

from tests.training.conftest import DAY, write_exposures, write_histories, write_items
from tests.training.test_queries import write_texts
from training.data import load
from training.public import public


def test_what_was_bought_is_told_by_histories_alone(tmp_path: Path):
    write_histories(tmp_path, {"ann": [("c", 30), ("a", 20)], "bob": [("c", 10)]})
    write_items(tmp_path, {"c": "soap", "b": "milk", "a": "soap"})
    write_exposures(tmp_path, [("ann", "b", date(2024, 3, 1), False, 1.0)])
    write_texts(tmp_path, [("review", "soap is fine", "c", date(2024, 1, 1))])
    night = load(str(tmp_path), DAY)
    assert (night.item_ids, night.known, night.texts[-1]) == (["a", "c", "b"], 2, "soap is fine")
    found = public(night)
    assert (found.item_ids, found.known, found.texts) == (["a", "b", "c"], 3, ["soap", "milk"])
    assert found.text_of.tolist() == [0, 1, 0]
    bought = [[each.item_ids[item] for item in each.histories.items] for each in (night, found)]
    assert bought[0] == bought[1] == ["c", "a", "c"]
    assert found.described()[0] == ["soap", "milk", "soap"]
    assert [found.described()[1][item] for item in (0, 2, 1)] == night.described()[1]
    np.testing.assert_array_equal(found.paths[[0, 2, 1]], night.paths)
    assert not len(found.exposures)
    assert not len(found.queries.texts)
