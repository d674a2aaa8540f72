"""Wishes come under the pseudonyms of profiles.users."""

import hashlib
import hmac
import os
from datetime import date

from jobs.profiles.preferences import preferences

NIGHT = date(2024, 3, 1)


def test_wishes_are_pseudonymous_and_a_shop_without_any_has_none(frame):
    rows = [
        {"day": NIGHT, "user_id": "7", "preference": "less_brand", "value": "acme"},
        {"day": NIGHT, "user_id": "7", "preference": "sort_by_price"},
    ]
    key = os.environ["NIGHT_PSEUDONYM_KEY"].encode()
    seven = hmac.new(key, b"7", hashlib.sha256).hexdigest()[:32]
    made = preferences(frame("raw.preferences", *rows), day=NIGHT).collect()
    assert {(row["day"], row["user_id"], row["preference"], row["value"]) for row in made} == {
        (NIGHT, seven, "less_brand", "acme"),
        (NIGHT, seven, "sort_by_price", None),
    }
    assert preferences(None, day=NIGHT) is None
