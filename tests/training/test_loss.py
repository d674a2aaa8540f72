"""The next-item loss, worked by hand."""

import math

import pytest
import torch

from training import loss
from training.loss import next_item_loss


def undated(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """No drift, and the moments of the queries of these logits."""
    return torch.zeros(0, logits.shape[1]), torch.zeros(len(logits), dtype=torch.long)


def of_logits(logits: torch.Tensor, targets: torch.Tensor, log_weight: torch.Tensor | float = 0.0) -> float:
    """The loss of these logits: users are their rows, items the unit vectors."""
    nothing = torch.zeros(len(logits), 1)
    weight = torch.zeros(logits.shape[1]) + log_weight
    told = (nothing, *undated(logits), nothing.long(), nothing.bool(), weight, targets)
    return next_item_loss(logits, torch.eye(logits.shape[1]), *told).item()


def test_next_item_loss_by_hand():
    # one query with targets 0 and 2 over logits log 1, log 2, log 5 (shares 1/8, 2/8, 5/8); a second without targets
    logits = torch.log(torch.tensor([[1.0, 2.0, 5.0], [3.0, 1.0, 1.0]]))
    targets = torch.tensor([[0, 2, -1], [-1, -1, -1]])
    assert of_logits(logits, targets) == pytest.approx((math.log(8) + math.log(8 / 5)) / 2, abs=1e-6)


def test_sampled_candidates_stand_for_those_left_out():
    # nine equal items; of eight that aren't targets two are drawn, each standing for four
    found = of_logits(torch.zeros(1, 3), torch.tensor([[0]]), torch.log(torch.tensor([1.0, 4.0, 4.0])))
    assert found == pytest.approx(math.log(9), abs=1e-6)


def test_loss_and_gradients_are_those_of_the_plain_softmax(monkeypatch):
    monkeypatch.setattr(loss, "QUERIES_AT_ONCE", 3)  # seven queries in three blocks
    torch.manual_seed(0)
    inputs = [torch.randn(7, 4), torch.randn(9, 4), torch.randn(7, 2), torch.randn(3, 9)]
    ours, plain = ([tensor.clone().requires_grad_() for tensor in inputs] for _ in range(2))
    places = torch.stack([torch.randperm(9)[:2] for _ in range(7)])
    log_weight, targets = torch.rand(9), torch.randint(9, (7, 3))
    targets[2], targets[4, 1:] = -1, -1
    seen = torch.rand(7, 2) < 0.7
    moments = torch.randint(3, (7,))
    found = next_item_loss(*ours, moments, places, seen, log_weight, targets, explore=0.5)
    drift = plain[0][:, -1:] * plain[3][moments]
    logits = (plain[0] @ plain[1].T + log_weight + drift).scatter_add(1, places, plain[2])
    known = torch.zeros(7, 9, dtype=torch.bool)
    known[torch.arange(7)[:, None].expand(7, 2)[seen], places[seen]] = True

    def mean(logits: torch.Tensor, wanted: list[torch.Tensor]) -> torch.Tensor:
        told = [logits[query].log_softmax(-1)[items].mean() for query, items in enumerate(wanted) if len(items)]
        return -torch.stack(told).mean()

    every = [row[row >= 0] for row in targets]
    new = [row[~known[query, row]] for query, row in enumerate(every)]
    assert 0 < sum(map(len, new)) < sum(map(len, every))
    expected = mean(logits, every) + 0.5 * mean(logits.masked_fill(known, -torch.inf), new)
    (2 * found).backward()
    (2 * expected).backward()
    torch.testing.assert_close(found, expected)
    for mine, theirs in zip(ours, plain, strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_only_the_best_scored_candidates_count_where_the_loss_has_a_focus():
    # shares 5/8, 2/8, 1/8: of the best two the target has 2/7; a target that isn't among them costs nothing
    logits = torch.log(torch.tensor([[1.0, 2.0, 5.0]]))
    nothing = torch.zeros(1, 1)

    def focused(target: int, users: torch.Tensor = logits) -> torch.Tensor:
        never = undated(logits)
        told = (torch.eye(3), nothing, *never, nothing.long(), nothing.bool(), torch.zeros(3), torch.tensor([[target]]))
        return next_item_loss(users, *told, focus=2)

    assert focused(1).item() == pytest.approx(math.log(7 / 2), abs=1e-6)
    assert focused(0).item() == 0.0
    users = logits.clone().requires_grad_()
    focused(1, users).backward()
    assert users.grad[0].tolist() == pytest.approx([0, -5 / 7, 5 / 7], abs=1e-6)
