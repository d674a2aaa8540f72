"""What the towers promise: no look into the future, padding means nothing, repeats count, bad folders are refused."""

import math

import pytest
import torch

from training.model import ItemTower, Repeats, UserTower
from training.trends import SALES

H, D = 6, 7


@pytest.fixture
def users() -> UserTower:
    torch.manual_seed(1)
    tower = UserTower(dim=D, id_dim=D - 1, width=8, heads=2, layers=2, context=4)
    torch.nn.init.normal_(tower.say.weight)  # it starts at zero, where the transformer would have no say
    return tower.eval()


@pytest.fixture
def history() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return torch.randn(1, H, D), torch.tensor([[30.0, 20, 12, 7, 3, 1]]), torch.arange(H).unsqueeze(0)


def at(tower: UserTower, vectors, ages, entries, last: int, query_age: float = 0.0) -> torch.Tensor:
    sales = torch.zeros(*entries.shape, SALES).unsqueeze(1)
    found, *_ = tower(vectors, ages, entries, torch.tensor([[last]]), torch.tensor([[query_age]]), sales=sales)
    return found[0, 0].detach()


def test_a_query_does_not_see_later_events(users, history):
    vectors, ages, entries = history
    before = at(users, vectors, ages, entries, last=3, query_age=5.0)
    changed = vectors.clone()
    changed[:, 4:] = 9.0
    assert torch.equal(at(users, changed, ages, entries, last=3, query_age=5.0), before)
    changed[:, 3] = 9.0
    assert not torch.allclose(at(users, changed, ages, entries, last=3, query_age=5.0), before)


def test_what_was_trained_at_a_query_is_what_is_served_at_the_nights_end(users, history):
    vectors, ages, entries = history
    # four events, then the query five days before the night: the same as four events served that day
    trained = at(users, vectors[:, 2:], ages[:, 2:], entries[:, 2:], last=1, query_age=5.0)
    padded = torch.cat([torch.zeros(1, 2, D), vectors[:, 2:4]], dim=1)
    seen = torch.tensor([[-1, -1, 0, 1]])
    served = at(users, padded, (ages[:, :4] - 5) * 0 + torch.tensor([[0.0, 0.0, 7.0, 2.0]]), seen, last=3)
    assert torch.allclose(trained, served, atol=1e-5)


def test_what_lies_in_the_padding_does_not_matter(users, history):
    vectors, ages, _ = history
    entries = torch.tensor([[-1, -1, -1, 3, 4, 5]])
    other = vectors.clone()
    other[:, :3] = 5.0
    assert torch.allclose(
        at(users, vectors, ages, entries, H - 1), at(users, other, ages * (entries >= 0), entries, H - 1), atol=1e-5
    )


def test_an_empty_history_has_a_vector(users):
    empty = torch.full((1, H), -1)
    found = at(users, torch.zeros(1, H, D), torch.zeros(1, H), empty, H - 1)
    assert torch.isfinite(found).all()
    assert found[-1] > 0  # popularity counts


def test_repeats_weigh_count_to_the_power():
    tower = UserTower(dim=3, id_dim=2, width=4, heads=1, layers=1, context=4).eval()
    with torch.no_grad():
        tower.log_decay.copy_(torch.tensor([-99.0, -99, -99, -99, 0, -99]))  # only the half-life of 128 days
        tower.log_power.fill_(torch.log(torch.tensor(0.5)))
        tower.copy.fill_(1.0)
    a, b = torch.tensor([1.0, 0.0, 5.0]), torch.tensor([0.0, 1.0, 5.0])
    vectors, ages = torch.stack([a, b, a, a]).unsqueeze(0), torch.full((1, 4), 128.0)
    copied = tower._copied(vectors, ages, torch.tensor([[0, 1, 0, 0]]), torch.tensor([[3]]), torch.tensor([[0.0]]))[
        0, 0
    ]
    assert copied.tolist() == pytest.approx([1.5**0.5, 0.5**0.5], abs=1e-6)  # each of them has decayed to a half


@pytest.fixture
def repeats() -> Repeats:
    """What a repeat scores is 1 + log(0.001 + purchases halving every 128 days)."""
    torch.manual_seed(4)
    layer = Repeats()
    with torch.no_grad():
        layer.counted.copy_(torch.tensor([0.0, 0, 0, 0, 1, 0]))
        layer.base.fill_(1.0)
    return layer


def again(layer: Repeats, ages, entries, moments, trend: float = 0.0) -> list[list[float]]:
    """At the moments (last place, age): what each place of one history scores, 0 where it adds nothing."""
    sales = torch.full((1, len(moments), len(ages), SALES), trend)
    last, query_ages = (torch.tensor([[moment[n] for moment in moments]]) for n in (0, 1))
    vectors, users = torch.randn(1, len(ages), 3), torch.randn(1, len(moments), 3)
    told = (torch.tensor([ages]), torch.tensor([entries]), last, query_ages.float())
    added = layer(vectors, *told, users, sales=sales)[0]
    return torch.where(added == 0, 0, added + (users @ vectors.transpose(1, 2))[0]).tolist()


def test_a_repeat_counts_at_the_latest_purchase_that_the_moment_knows(repeats):
    found = again(repeats, [256.0, 128.0, 128.0, 0.0], [7, 8, 7, 7], [(3, 0.0), (2, 128.0), (0, 256.0)])
    of = {count: 1 + math.log(0.001 + count) for count in (0.5, 1.0, 1.5, 1.75)}
    assert found[0] == pytest.approx([0, of[0.5], 0, of[1.75]], abs=1e-5)
    assert found[1] == pytest.approx([0, of[1.0], of[1.5], 0], abs=1e-5)
    assert found[2] == pytest.approx([of[1.0], 0, 0, 0], abs=1e-5)


def test_what_a_repeat_adds_depends_on_rhythm_and_sales_once_it_has_learned(repeats):
    torch.nn.init.normal_(repeats.out.weight)
    torch.manual_seed(5)
    weekly = again(repeats, [21.0, 14.0, 7.0, 1.0], [7, 7, 7, 9], [(3, 0.0)])
    torch.manual_seed(5)
    daily = again(repeats, [9.0, 8.0, 7.0, 1.0], [7, 7, 7, 9], [(3, 0.0)])
    assert abs(weekly[0][2] - daily[0][2]) > 0.01
    torch.manual_seed(5)
    offered = again(repeats, [21.0, 14.0, 7.0, 1.0], [7, 7, 7, 9], [(3, 0.0)], trend=2.0)
    assert abs(weekly[0][2] - offered[0][2]) > 0.01


def test_a_share_of_the_inner_product_counts_for_a_repeat(repeats):
    torch.manual_seed(7)
    without = again(repeats, [128.0, 64.0], [7, 8], [(1, 0.0)])
    torch.manual_seed(7)
    vectors, users = torch.randn(1, 2, 3), torch.randn(1, 1, 3)
    with torch.no_grad():
        repeats.alike.fill_(0.5)
    torch.manual_seed(7)
    half = again(repeats, [128.0, 64.0], [7, 8], [(1, 0.0)])
    product = (users @ vectors.transpose(1, 2))[0, 0]
    assert half[0] == pytest.approx([a + b / 2 for a, b in zip(without[0], product.tolist(), strict=True)], abs=1e-5)


def test_padding_repeats_nothing(repeats):
    found = again(repeats, [0.0, 0.0, 5.0, 5.0], [-1, -1, 7, 7], [(3, 0.0)])
    assert found[0][:3] == [0, 0, 0]
    assert found[0][3] == pytest.approx(1 + math.log(0.001 + 2 * 2 ** (-5 / 128)), abs=1e-5)


@pytest.fixture
def items() -> ItemTower:
    """Of four dimensions and a bias the first three are the text's, the last two the item's own."""
    torch.manual_seed(3)
    tower = ItemTower(text_width=4, items=2, tags=2, dim=5, text_dim=3, id_dim=2)
    torch.nn.init.normal_(tower.tags.weight[1:])
    tower.centre.copy_(torch.randn(4))
    return tower


def test_an_item_is_its_text_its_tags_and_itself(items):
    text = torch.randn(1, 4)

    def vector(tags: list[int], index: int) -> torch.Tensor:
        return items(text, torch.tensor([tags]), torch.tensor([index]))[0, :4].detach()

    alone, zero = vector([0, 0], 0), torch.zeros(1)
    told = items.project.weight @ ((text - items.centre)[0] / (text - items.centre).norm())
    torch.testing.assert_close(alone, torch.cat([told, zero]))
    torch.testing.assert_close(vector([2, 0], 0) - alone, torch.cat([items.tags.weight[2], zero]))
    both = torch.cat([items.tags.weight[1:].sum(0), zero]) + torch.cat([zero, zero, items.own.weight[1]])
    torch.testing.assert_close(vector([1, 2], 1) - alone, both)


def test_an_item_without_text_or_tags_is_itself(items):
    items.centre.zero_()
    vectors = items(torch.zeros(1, 4), torch.tensor([[0]]), torch.tensor([2]))
    assert vectors[0, :4].tolist() == [0, 0, *items.own.weight[2].tolist()]
