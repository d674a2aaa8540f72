"""What limits a list: how many items of a group it may hold."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Limits:
    """At most so many items of one group in a list.

    Args:
        groups: int64 [n, c], the group of each candidate; -1 for none.
        most: int64 [n], or one for all users.
    """

    groups: np.ndarray
    most: np.ndarray | int
