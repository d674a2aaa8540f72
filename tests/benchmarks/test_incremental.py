"""When each schedule trains; the trainings themselves are the benchmark's."""

from contextlib import suppress
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from benchmarks import incremental
from benchmarks.incremental import SCHEDULES, _place, _Shop

WEEKS = [date(2017, 12, 10), date(2017, 12, 17), date(2017, 12, 24)]


class Told(_Shop):
    """Writes down what would be trained, and serves nothing."""

    def __init__(self, place: Path):
        self.place, self.trained, self.asked = place, [], []

    def _train(self, folder: Path, day: date, warm: bool) -> tuple[Path, float]:
        folder.mkdir(exist_ok=True)
        (folder / "mlflow.db").touch()
        self.trained.append((folder.name, day, warm))
        export = folder / "checkpoints/cpu" / str(day) / "export"
        for made in (export, folder / "var/mlartifacts" / str(len(self.trained))):
            made.mkdir(parents=True, exist_ok=True)
        return export, 2.0

    def _values(self, export: Path, week: date) -> dict:
        self.asked.append(export.parent.name)
        return {"all": (np.zeros(1), {"ndcg_at_10": np.zeros(1)})}


@pytest.fixture
def shop(tmp_path: Path) -> Told:
    return Told(tmp_path)


@pytest.mark.parametrize(
    ("name", "count", "asked"),
    [
        (incremental.ANEW, 2, ["2017-12-10", "2017-12-17", "2017-12-24"]),
        ("warm every week", 2, ["2017-12-10", "2017-12-17", "2017-12-24"]),
        ("warm every night", 14, ["2017-12-10", "2017-12-17", "2017-12-24"]),
        ("never again", 0, ["2017-12-10"] * 3),
    ],
)
def test_a_schedule_trains_when_it_says(shop: Told, name: str, count: int, asked: list[str]):
    values, seconds = shop.weeks(name, SCHEDULES[name], WEEKS)
    first, *later = shop.trained
    assert first == ("first", WEEKS[0], False)
    assert len(later) == count
    assert {warm for _, _, warm in later} <= {SCHEDULES[name].warm}
    assert [day for _, day, _ in later] == sorted(day for _, day, _ in later)
    assert all(WEEKS[0] < day <= WEEKS[-1] for _, day, _ in later)
    assert shop.asked == asked
    assert (len(values), seconds) == (3, 2.0 * (count + 1))


def test_all_begin_with_one_model(shop: Told):
    for name, schedule in SCHEDULES.items():
        shop.weeks(name, schedule, WEEKS[:1])
    assert shop.trained == [("first", WEEKS[0], False)]
    assert shop.asked == ["2017-12-10"] * 4


def test_a_killed_run_goes_on_after_the_last_week_it_ended(shop: Told):
    name = "warm every night"
    whole = shop.weeks(name, SCHEDULES[name], WEEKS[:2])
    folder = shop.place / "warm_every_night"
    # what a week has trained takes gigabytes: only its last model is kept
    assert [day.name for day in folder.glob("checkpoints/cpu/*")] == ["2017-12-17"]
    assert [run.name for run in folder.glob("var/mlartifacts/*")] == ["8"]
    half_done = folder / "checkpoints/cpu_warm/2017-12-19"
    half_done.mkdir(parents=True)
    before, shop.trained, shop.asked = len(shop.trained), [], []
    values, seconds = shop.weeks(name, SCHEDULES[name], WEEKS)
    assert before == 8
    assert [day for _, day, _ in shop.trained] == [date(2017, 12, day) for day in range(18, 25)]
    assert shop.asked == ["2017-12-24"]
    assert not half_done.exists()  # MLflow stands where the week ended, so its nights train again
    assert (len(values), seconds) == (3, whole[1] + 7 * 2.0)
    assert values[0]["all"][1]["ndcg_at_10"].tolist() == [0.0]


def test_what_a_commit_has_done_stays_until_all_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(incremental, "PLACE", tmp_path)

    def killed(commit: str | None) -> Path:
        with suppress(KeyboardInterrupt), _place(commit) as place:
            (place / "week").touch()
            raise KeyboardInterrupt
        return place

    assert (killed("abc") / "week").exists()
    with _place("abc") as place:
        assert (place / "week").exists()
    assert not place.exists()
    assert not killed(None).exists()  # by code that is in no commit nothing can go on
