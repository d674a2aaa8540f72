"""Losses of the heads by hand, and what their vectors mean."""

import math

import pytest
import torch

from training.heads import Heads, exposure_losses, logits, spend_loss, variety_loss

UNKNOWN = float("nan")


def exposed(rows: list[tuple[float, float, float, float, float]]) -> tuple[float, float]:
    """Rows of p(click), p(purchase | click), clicked, bought, weight."""
    click, purchase, clicked, bought, weight = torch.tensor(rows).T
    return tuple(each.item() for each in exposure_losses(click.logit(), purchase.logit(), clicked, bought, weight))


def test_purchases_are_learned_of_all_that_was_shown():
    # clicked and bought: p(click) 1/2, of purchase 1/2 * 1/4; not clicked, standing for three: 1 - 1/4, 1 - 1/4 * 1/2
    click, purchase = exposed([(0.5, 0.25, 1, 1, 1), (0.25, 0.5, 0, 0, 3)])
    assert click == pytest.approx((math.log(2) + 3 * math.log(4 / 3)) / 4, abs=1e-5)
    assert purchase == pytest.approx((math.log(8) + 3 * math.log(8 / 7)) / 4, abs=1e-5)


def test_without_clicks_a_purchase_follows_from_being_shown():
    click, purchase = exposed([(0.5, 0.25, UNKNOWN, 1, 1), (0.5, 0.25, UNKNOWN, 0, 1)])
    assert click == 0.0
    assert purchase == pytest.approx((math.log(4) + math.log(4 / 3)) / 2, abs=1e-5)
    assert exposed([(0.5, 0.25, UNKNOWN, 1, 0)]) == (0.0, 0.0)


def test_certain_probabilities_have_finite_losses_and_gradients():
    click, purchase = (torch.tensor([60.0, -60.0], requires_grad=True) for _ in range(2))
    told = torch.tensor([0.0, 1.0])
    sum(exposure_losses(click, purchase, told, told, torch.ones(2))).backward()
    assert torch.isfinite(click.grad).all()
    assert torch.isfinite(purchase.grad).all()


def test_money_is_lognormal_where_anything_is_paid():
    # log money 0 and log 4 about means 0 and 0, deviation 2; free and unknown lines don't count
    paid = torch.tensor([1.0, 4.0, 0.0, UNKNOWN])
    found = spend_loss(torch.zeros(4), torch.tensor([math.log(2)]), paid)
    assert found.item() == pytest.approx(math.log(2) + (math.log(4) / 2) ** 2 / 4, abs=1e-6)
    assert spend_loss(torch.zeros(1), torch.zeros(1), torch.tensor([UNKNOWN])).item() == 0.0


def test_variety_is_learned_of_those_who_took_several():
    found = variety_loss(torch.tensor([math.log(3), 0.0]), torch.tensor([0.5, UNKNOWN]))
    assert found.item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2, abs=1e-6)


@pytest.fixture
def heads() -> Heads:
    torch.manual_seed(1)
    made = Heads(text_width=4, dim=5, items=2, width=3)
    with torch.no_grad():
        made.usual.weight.copy_(torch.tensor([[0.5], [1.5], [2.5]]))
        made.offset.copy_(torch.tensor([-2.0, -3.0]))
    return made


def test_heads_start_with_what_is_usual_and_with_relevance(heads):
    users, items, index = torch.randn(2, 5), torch.randn(2, 5), torch.tensor([2, 0])
    click, purchase, spend = heads.of_users(users)
    of_items = heads.of_items(items, index)
    scores = torch.tensor([1.0, 10.0])
    assert logits(click, of_items[0], scores).tolist() == pytest.approx([-2 + 0.3, -2 + 3])
    assert logits(purchase, of_items[1], scores).tolist() == pytest.approx([-3 + 0.3, -3 + 3])
    assert (spend * of_items[2]).sum(-1).tolist() == pytest.approx([2.5, 0.5])
    assert torch.sigmoid(heads.accepted(users)).tolist() == [0.5, 0.5]
    assert heads.excess.item() == pytest.approx(math.exp(-1.4) / 2)
