"""Splits of a few users, made by hand."""

import numpy as np
import pytest

from benchmarks.accuracy.protocol import Split
from training.data import Histories
from training.metrics import Relevant

NOW = 100.0


def histories(*users: list[tuple[int, float]]) -> Histories:
    """Each user: (item, days ago), oldest first; lines of one age are one basket."""
    lines = [line for lines in users for line in lines]
    items, ages = (np.array(column) for column in zip(*lines, strict=True))
    offsets = np.concatenate([[0], np.cumsum([len(lines) for lines in users])])
    return Histories(offsets, items, NOW - ages, np.ones(len(lines)), ages.astype(np.int64))


@pytest.fixture
def split():
    """(items, histories, taken) -> Split; all users are asked, by default of what doesn't matter."""

    def made(items: int, *users: list[tuple[int, float]], taken: list[list[int]] | None = None) -> Split:
        seen = histories(*users)
        relevant = Relevant.of([np.array(each) for each in taken or [[0]] * len(users)])
        return Split(seen, seen, items, NOW, np.arange(len(users)), relevant)

    return made
