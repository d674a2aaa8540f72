"""The two losses, worked by hand."""

import math

import pytest
import torch

from training.loss import next_item_loss, purchase_loss


def test_next_item_loss_by_hand():
    # one query with targets 0 and 2 over logits log 1, log 2, log 5 (shares 1/8, 2/8, 5/8); a second without targets
    logits = torch.log(torch.tensor([[[1.0, 2.0, 5.0], [3.0, 1.0, 1.0]]]))
    targets = torch.tensor([[[0, 2, -1], [-1, -1, -1]]])
    assert next_item_loss(logits, targets).item() == pytest.approx((math.log(8) + math.log(8 / 5)) / 2, abs=1e-6)


def test_sampled_candidates_stand_for_those_left_out():
    # nine equal items; of eight that aren't targets two are drawn, each standing for four
    logits = torch.zeros(1, 1, 3) + torch.log(torch.tensor([1.0, 4.0, 4.0]))
    assert next_item_loss(logits, torch.tensor([[[0]]])).item() == pytest.approx(math.log(9), abs=1e-6)


def test_purchase_loss_weighs_what_the_sample_left_out():
    # p = 1/2 everywhere costs log 2 whatever the weights; p = 3/4 on the one that was bought costs log 4/3
    logits, bought = torch.tensor([math.log(3), 0.0]), torch.tensor([1.0, 0.0])
    expected = (math.log(4 / 3) + 3 * math.log(2)) / 4
    assert purchase_loss(logits, bought, torch.tensor([1.0, 3.0])).item() == pytest.approx(expected, abs=1e-6)
    assert purchase_loss(logits, bought, torch.zeros(2)).item() == 0.0
