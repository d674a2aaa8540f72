"""Weights of losses by hand, and what each method promises."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training.balance import Balance, bargain


def test_fixed_weights_count_all_but_the_first_alike():
    losses = torch.tensor([2.0, 3.0, 4.0], requires_grad=True)
    whole, weights = Balance("fixed", 3, 0.1)(losses, ())
    assert whole.item() == pytest.approx(2.7)
    assert weights.tolist() == pytest.approx([1, 0.1, 0.1])


def test_noise_is_learned_to_be_the_loss():
    balance = Balance("uncertainty", 3, 0.1)
    losses = torch.tensor([2.0, 0.5, 0.0])  # the third has no label in this micro-batch
    optimizer = torch.optim.SGD(balance.parameters(), lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        balance(losses, ())[0].backward()
        optimizer.step()
    # exp(-s) L + s is least where exp(s) is L
    assert balance.log_noise.exp().tolist() == pytest.approx([2, 0.5, 1], abs=1e-3)
    assert balance(losses, ())[1].tolist() == pytest.approx([0.5, 2, 0], abs=1e-3)


def test_the_shortest_mean_of_directions():
    # perpendicular, one twice as long; a third between two others adds nothing to their mean
    assert bargain("mgda", np.diag([1.0, 4.0])) == pytest.approx(np.array([2, 1]) * 2 / 3, abs=1e-6)
    gradients = np.array([[1.0, 0], [0, 1], [9, 9]])
    assert bargain("mgda", gradients @ gradients.T) == pytest.approx([1.5, 1.5, 0], abs=1e-6)


def test_the_bargain_of_perpendicular_gradients_gives_each_the_same_length():
    assert bargain("nash", np.diag([1.0, 4.0])) == pytest.approx(np.array([2, 1]) * 2 / 3, abs=1e-6)


def test_a_task_without_a_gradient_is_in_nobodys_way():
    for method in ("mgda", "nash"):
        assert bargain(method, np.diag([1.0, 0.0, 1.0])) == pytest.approx([1, 1, 1])
        assert bargain(method, np.zeros((2, 2))).tolist() == [1, 1]


@given(arrays(np.float64, (3, 5), elements=st.floats(-3, 3, width=32)).filter(lambda g: (g**2).sum(1).min() > 1e-2))
def test_bargains_keep_their_promises(gradients):
    products = gradients @ gradients.T
    shortest, nash = bargain("mgda", products), bargain("nash", products)
    assert shortest.sum() == pytest.approx(3)
    # no task loses by a small step along the shortest mean
    assert (products @ shortest >= -1e-4 * np.trace(products)).all()
    assert (nash > 0).all()
    # each task's gain times its weight is the same
    gains = nash * (products @ nash + 1e-9 * np.diag(products) * nash)
    assert gains == pytest.approx(np.full(3, gains.mean()), rel=1e-4)


def test_gradients_are_compared_where_the_tasks_meet():
    shared = torch.tensor([1.0, 1.0], requires_grad=True)
    losses = torch.stack([shared[0] * 3, (shared[1] * 4) ** 2, shared.sum() * 0])
    whole, weights = Balance("nash", 3, 0.1)(losses, (shared,))
    # gradients of lengths 3 and 32
    assert weights.tolist() == pytest.approx([2 * 32 / 35, 2 * 3 / 35, 0], rel=1e-4)
    whole.backward()
    assert shared.grad.tolist() == pytest.approx([192 / 35, 192 / 35], rel=1e-4)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="balance is 'best'; there are: fixed, uncertainty, mgda, nash"):
        Balance("best", 2, 0.1)
