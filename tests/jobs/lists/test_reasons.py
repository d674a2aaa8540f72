"""Each sentence is true for its shopper and its item."""

from datetime import date, timedelta

import numpy as np
import pytest

from jobs.lists.popularity import Popularity
from jobs.lists.reasons import from_others, in_words, personal

NIGHT = date(2024, 5, 31)
UNITS = np.array([[1, 0], [0.8, 0.6], [0, 1], [-1, 0]], np.float32)
TITLES = ["Apple", "Pear", "Bread", "Soap"]


def tell(pick, *events, buys=True):
    """The reason for one pick after events (position, days before the night), oldest first."""
    positions = np.array([position for position, _ in events], np.int64)
    days = np.array([NIGHT - timedelta(days=ago) for _, ago in events], "datetime64[D]")
    return personal((positions, days), np.array([pick]), UNITS, TITLES, buys=buys, day=NIGHT)[0]


def test_a_steady_rhythm_names_its_length_and_the_last_day():
    assert tell(0, (0, 20), (2, 15), (0, 11), (0, 2)) == "You buy this about every 9 days, last on 29 May 2024."
    assert tell(0, (0, 4), (0, 3), (0, 3), (0, 2)) == "You buy this about every day, last on 29 May 2024."


def test_two_days_or_a_rhythm_that_stopped_are_no_rhythm():
    assert tell(0, (0, 20), (0, 20), (0, 11)) == "You bought this on 20 May 2024."
    assert tell(0, (0, 100), (0, 96), (0, 92)) == "You bought this on 29 February 2024."


def test_the_most_similar_item_of_the_history_is_named_with_its_last_day():
    assert tell(1, (2, 9), (0, 5), (0, 3), (2, 1)) == "Because you bought Apple on 28 May 2024."
    assert tell(0, (2, 9), (3, 1)) is None  # cosines 0 and -1 explain nothing


def test_who_only_looked_did_not_buy():
    assert tell(0, (0, 9), (0, 5), (0, 1), buys=False) == "You looked at this on 30 May 2024."
    assert tell(1, (0, 9), buys=False) == "Because you looked at Apple on 22 May 2024."


def test_items_that_are_not_known_and_empty_histories_explain_nothing():
    assert tell(0, (-1, 9)) is None
    assert tell(0, (-1, 9), (1, 5), (-1, 1)) == "Because you bought Pear on 26 May 2024."


def test_a_long_title_is_cut():
    days = np.array([NIGHT], "datetime64[D]")
    told = personal((np.array([0]), days), np.array([1]), UNITS, ["x" * 500, "", "", ""], buys=True, day=NIGHT)
    assert told == ["Because you bought " + "x" * 199 + "… on 31 May 2024."]


@pytest.mark.parametrize(
    ("day", "words"), [(date(2017, 12, 1), "1 December 2017"), (date(2024, 2, 29), "29 February 2024")]
)
def test_days_are_written_out(day, words):
    assert in_words(day) == words


def test_other_shoppers_are_counted_from_five_on():
    groups = {"aged 35-44": 0, "with an income of 50-74K": 1}
    buyers = [[5, 0, 40], [4, 4, 40], [0, 0, 5], [0, 0, 0], [0, 0, 0]]
    shoppers = [[7, 0, 90], [5, 4, 90], [0, 0, 5], [0, 0, 6], [4, 0, 4]]
    counts = Popularity(groups, np.array(shoppers), np.array(buyers), histories=100)
    told = [from_others(item, "aged 35-44", counts) for item in range(5)]
    assert told == [
        "Bought by 5 shoppers aged 35-44 in the last 4 weeks.",
        "Looked at or bought by 5 shoppers aged 35-44 in the last 4 weeks.",
        "Bought by 5 shoppers in the last 4 weeks.",
        "Looked at or bought by 6 shoppers in the last 4 weeks.",
        "On sale now.",
    ]
    others = ("with an income of 50-74K", None, "aged 19-24")
    assert [from_others(1, group, counts) for group in others] == ["Bought by 40 shoppers in the last 4 weeks."] * 3
