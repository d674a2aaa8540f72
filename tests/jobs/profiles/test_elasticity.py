from decimal import Decimal
from math import isnan

import pytest

from jobs.profiles.elasticity import Usual
from jobs.profiles.goods import Goods


@pytest.fixture
def usual(frame):
    """What all do with apples and bread, of what each user paid for which."""

    def make(*users):
        told = {"told": 2, "priced": 2, "squares": Decimal(9)}
        prices = [
            [{"item_id": item, "discounted": n % 2, "logs": Decimal(n), **told} for item, n in user.items()]
            for user in users
        ]
        totals = frame("profiles.totals", *({"user_id": str(n), "prices": each} for n, each in enumerate(prices)))
        goods = frame(
            "catalogue.items", *({"item_id": item, "category": item, "price": 1.0} for item in ("apple", "bread"))
        )
        return Usual.of(totals, Goods.of(goods), frame("catalogue.elasticities"))

    return make


def test_each_item_is_added_up_over_all_users(usual):
    told = usual({"apple": 1, "bread": 2}, {"apple": 3}, {}, {"bread": 3}, {"gone": 5})
    assert told.share.tolist() == [0.5, 0.25]
    assert told.middle.tolist() == [1.0, 1.25]
    assert told.spread.tolist() == [4.5 - 1.0, 4.5 - 1.25**2]


def test_nobody_bought_anything(usual):
    for told in (usual(), usual({}, {})):
        assert all(isnan(each) for each in (*told.share, *told.middle))
