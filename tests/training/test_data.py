"""What training reads: numbers, the cut in time, and clear errors."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.training.conftest import DAY, write_exposures, write_histories, write_items
from training.data import HELD_OUT_DAYS, load

END = 19814.0  # 2024-04-01, days since 1970


def small(lake: Path) -> None:
    """u buys a at ages 20 and 3, b at 8 (9 in the morning each); v buys only in the held-out week."""
    write_histories(lake, {"u": [("a", 20), ("b", 8), ("a", 3), ("gone", 2)], "v": [("c", 1)]})
    write_items(lake, {"c": "tea", "a": "milk", "b": "milk"})


def test_items_bought_before_the_cut_are_numbered_first_and_share_texts(tmp_path: Path):
    small(tmp_path)
    night = load(str(tmp_path), DAY)
    assert night.item_ids == ["a", "b", "c"]
    assert night.known == 2
    assert night.texts == ["milk", "tea"]
    assert night.text_of.tolist() == [0, 0, 1]
    assert night.versions == {"behaviour.histories": 0, "catalogue.items": 0}


def test_events_of_items_without_a_catalogue_row_are_left_out(tmp_path: Path):
    small(tmp_path)
    histories = load(str(tmp_path), DAY).histories
    assert histories.offsets.tolist() == [0, 3, 4]
    assert histories.items.tolist() == [0, 1, 0, 2]
    assert histories.times.tolist() == [END - 20 + 0.375, END - 8 + 0.375, END - 3 + 0.375, END - 1 + 0.375]


def test_training_sees_nothing_of_the_held_out_week(tmp_path: Path):
    small(tmp_path)
    write_exposures(
        tmp_path,
        [("u", "a", DAY - timedelta(days=7), True, 1.0), ("u", "b", DAY - timedelta(days=6), False, 1.0)],
    )
    night = load(str(tmp_path), DAY)
    assert (night.cut, night.end) == (END - 7, END)
    seen = night.training()
    assert seen.histories.items.tolist() == [0, 1]
    assert seen.histories.offsets.tolist() == [0, 2, 2]
    assert seen.exposures.days.tolist() == [END - 8]
    assert night.histories.between(night.cut, night.end).items.tolist() == [0, 2]


def test_the_fingerprint_is_of_what_training_sees(tmp_path: Path):
    marks = []
    for name, latest, oldest in (("one", "a", "a"), ("two", "b", "a"), ("three", "a", "b")):
        lake = tmp_path / name
        write_histories(lake, {"u": [(oldest, 20), ("b", 12), ("a", 9), (latest, 3)]})
        write_items(lake, {"a": "milk", "b": "tea"})
        marks.append(load(str(lake), DAY).fingerprint())
    assert marks[0] == marks[1]  # they differ in the held-out week alone
    assert marks[0] != marks[2]


def test_a_fold_knows_nothing_of_what_came_after_it(tmp_path: Path):
    """Read from the tables of DAY, a week before."""
    week = timedelta(days=7)
    write_histories(tmp_path, {"t": [("c", 9)], "u": [("a", 30), ("b", 9), ("b", 8), ("c", 7)], "v": [("a", 6)]})
    write_items(tmp_path, {"a": "milk", "b": "bread", "c": "tea"})
    days = [DAY - timedelta(days=age) for age in (20, 7, 6)]
    write_exposures(tmp_path, [("u", "a", day, True, 1.0) for day in days] + [("v", "a", days[0], True, 1.0)])
    whole, fold = load(str(tmp_path), DAY), load(str(tmp_path), DAY - week, DAY)
    assert (fold.day, fold.end, fold.cut) == (DAY - week, END - 7, END - 14)
    assert (whole.user_ids, fold.user_ids) == (["t", "u", "v"], ["t", "u"])  # v came later
    assert (whole.known, fold.known) == (3, 1)
    assert fold.item_ids == ["a", "b", "c"]  # the catalogue is the night's
    assert fold.histories.offsets.tolist() == [0, 1, 4]
    assert fold.histories.items.tolist() == [2, 0, 1, 1]
    assert fold.histories.times.tolist() == [END - age + 0.375 for age in (9, 30, 9, 8)]
    assert fold.histories.amounts.tolist() == [1.0] * 4
    assert fold.histories.baskets[[0, 2]].tolist() == [fold.histories.baskets[2]] * 2  # of the same age
    assert (fold.exposures.users.tolist(), fold.exposures.days.tolist()) == ([1, 1], [END - 21, END - 8])
    assert fold.versions == whole.versions


def test_the_last_fold_is_the_night(lake: Path):
    assert load(str(lake), DAY, DAY).fingerprint() == load(str(lake), DAY).fingerprint()


@pytest.mark.parametrize("weeks", [3, 10])
def test_a_fold_of_before_the_first_purchases(tmp_path: Path, weeks: int):
    write_histories(tmp_path, {"u": [("a", 25)]})
    write_items(tmp_path, {"a": "milk"})
    with pytest.raises(ValueError, match=f"no event of a catalogue item before {HELD_OUT_DAYS} days ago"):
        load(str(tmp_path), DAY - timedelta(days=7 * weeks), DAY)


def test_a_fold_after_its_night(tmp_path: Path):
    with pytest.raises(ValueError, match=f"the night {DAY} can't know the day 2024-04-01"):
        load(str(tmp_path), date(2024, 4, 1), DAY)


def test_missing_table(tmp_path: Path):
    with pytest.raises(ValueError, match=r"table behaviour\.histories is not in the lake"):
        load(str(tmp_path), DAY)


def test_missing_night(lake: Path):
    with pytest.raises(ValueError, match=r"table behaviour\.histories has no rows of night 2024-02-01"):
        load(str(lake), date(2024, 2, 1))


def test_an_item_without_text(tmp_path: Path):
    write_histories(tmp_path, {"u": [("a", 20)]})
    write_items(tmp_path, {"a": "milk", "b": None})
    with pytest.raises(ValueError, match=r"catalogue\.items: column text is null for item_id 'b'"):
        load(str(tmp_path), DAY)


def test_nothing_before_the_held_out_days(tmp_path: Path):
    write_histories(tmp_path, {"u": [("a", 2)]})
    write_items(tmp_path, {"a": "milk"})
    with pytest.raises(ValueError, match=f"before {HELD_OUT_DAYS} days ago"):
        load(str(tmp_path), DAY)
