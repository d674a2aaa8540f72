"""What the judge says of probabilities and money."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import DAY
from training.answers import Answers
from training.data import load
from training.exposures import Exposures


class Foreseen:
    """In the place of a model: logits that are told beforehand, and as much money for everything."""

    def __init__(self, click: float, purchase: float, money: float):
        self.click, self.purchase, self.money = click, purchase, money

    def answers(self, night, shown, now):
        assert now == night.cut
        return {"click": np.full(len(shown), self.click), "purchase": np.full(len(shown), self.purchase)}

    def spend(self, night, users, items, now):
        return np.full(len(users), self.money)


def exposures(night, clicked: list[float], bought: list[int], weights: list[float]) -> Exposures:
    rows = np.arange(len(bought))
    told = (np.array(each, np.float32) for each in (clicked, bought, weights))
    return Exposures(rows, np.full(len(rows), night.cut), rows, *told)


@pytest.fixture(scope="module")
def night(lake: Path):
    return load(str(lake), DAY)


def manifest(*tasks: str, **corrections: dict[str, float]) -> dict:
    return {"tasks": ["next_item", *tasks], "corrections": corrections}


def test_a_purchase_is_foreseen_of_all_that_was_shown(night):
    seen = replace(night, exposures=exposures(night, [1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 3]))
    found = Answers.of(Foreseen(np.log(3), 0.0, 1.0), manifest("click", "purchase"), seen)
    # p(click) is 3/4, p(purchase) 3/8; of six rows two were clicked and one was bought by its click
    assert set(found.reliability) == {"p_click", "p_purchase"}
    assert found.reliability["p_click"].ece == pytest.approx(3 / 4 - 2 / 6)
    assert found.reliability["p_purchase"].ece == pytest.approx(3 / 8 - 1 / 6)
    assert found.metrics()["ratio_p_purchase"] == pytest.approx(3 / 8 * 6)


def test_a_correction_is_undone_to_show_what_it_did(night):
    nan = float("nan")
    seen = replace(night, exposures=exposures(night, [nan, nan], [1, 0], [1, 3]))
    told = manifest("purchase", purchase={"slope": 2.0, "offset": -np.log(3)})
    found = Answers.of(Foreseen(0.0, -np.log(3), 1.0), told, seen)
    assert found.reliability["p_purchase"].ece == pytest.approx(0)
    assert found.reliability["p_purchase, uncorrected"].ece == pytest.approx(1 / 4)
    assert set(found.metrics()) >= {"ece_p_purchase", "ece_p_purchase_uncorrected"}


def test_money_is_compared_with_what_was_paid(night):
    alone = replace(night.histories, baskets=np.arange(len(night.histories.items)))  # every line is paid with 1
    found = Answers.of(Foreseen(0.0, 0.0, 1.5), manifest("spend"), replace(night, histories=alone))
    assert found.reliability == {}
    assert found.spend == pytest.approx({"ratio": 1.5, "mae": 0.5, "mae_usual": 0.0})
    assert Answers.of(Foreseen(0.0, 0.0, 1.5), manifest(), night) == Answers({}, {}, {})
