"""What is counted of a repeat, against counting by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.repeats import HALF_LIVES, VISITS, _purchases

EVENT = st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.0, 0.5, 7.0, 200.0]))


@settings(max_examples=60, deadline=None)
@given(events=st.lists(EVENT, max_size=7), padded=st.integers(0, 3))
def test_purchases_are_those_of_the_item_up_to_the_place(events: list[tuple[int, float]], padded: int):
    """``events``: items, and days since the event before."""
    items = [item for item, _ in events]
    days = torch.tensor([gap for _, gap in events]).cumsum(0).tolist()
    ages = [days[-1] - day + 3.0 for day in days]
    entries = torch.tensor([[-1] * padded + items], dtype=torch.long)
    if not entries.shape[1]:
        return
    found = [each[0].tolist() for each in _purchases(torch.tensor([[0.0] * padded + ages]), entries)]
    counts, visited, times, apart, between, visit, following = found
    dates = sorted(set(days))
    for place, (item, day) in enumerate(zip(items, days, strict=True)):
        at, mine = place + padded, [n for n in range(place + 1) if items[n] == item]
        trip = {n: dates.index(days[n]) for n in mine}
        assert counts[at] == pytest.approx([sum(0.5 ** ((day - days[n]) / h) for n in mine) for h in HALF_LIVES])
        assert visited[at] == pytest.approx([sum(0.5 ** ((trip[place] - trip[n]) / h) for n in mine) for h in VISITS])
        assert (times[at], visit[at]) == (len(mine), trip[place])
        assert (apart[at], between[at]) == (day - days[mine[0]], trip[place] - trip[mine[0]])
        later = [n + padded for n in range(place + 1, len(items)) if items[n] == item]
        assert following[at] == min(later, default=entries.shape[1])


def test_a_basket_is_one_visit_and_padding_none():
    *_, visit, following = _purchases(torch.tensor([[0.0, 0.0, 9.0, 9.0, 2.0]]), torch.tensor([[-1, -1, 5, 6, 5]]))
    assert visit[0, 2:].tolist() == [0, 0, 1]
    assert following.tolist() == [[5, 5, 4, 5, 5]]
