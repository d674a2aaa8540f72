"""The lakes that benchmarks train on."""

from datetime import date

from benchmarks.accuracy.ours import Catalogue, write_lake
from tests.benchmarks.conftest import histories
from training.data import load

CATALOGUE = Catalogue(["i0", "i1"], ["milk", "bread"], [None, "Oven"], [["dairy"], ["bakery"]])


def test_a_lake_holds_the_nights_of_one_shop_after_another(tmp_path):
    nights = {date(1970, 4, 11): [[(0, 9.0)]], date(1970, 4, 12): [[(0, 9.0), (1, 0.5)]]}
    for day, users in nights.items():
        write_lake(tmp_path, day, ["ann"], histories(*users), CATALOGUE)
    for day, users in nights.items():
        night = load(str(tmp_path), day)
        assert sorted(night.item_ids) == ["i0", "i1"]
        assert len(night.histories.items) == len(users[0])
