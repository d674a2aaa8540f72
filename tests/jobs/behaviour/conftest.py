"""Events of a greengrocer, as raw.events has them."""

import hashlib
import hmac
import os
from datetime import datetime

import pytest


@pytest.fixture(scope="session")
def event():
    """One row of raw.events, on time unless ``day`` says otherwise; ``ts`` as ``2024-03-01 10:00``."""

    def make(event_id, ts, **changes):
        moment = datetime.fromisoformat(ts)
        row = {
            "day": moment.date(),
            "event_id": event_id,
            "event_type": "view",
            "user_id": "ann",
            "item_id": "apple",
        }
        return {**row, **changes, "ts": moment}

    return make


@pytest.fixture(scope="session")
def pseudonym_of():
    """The pseudonym by Python's own hmac."""

    def of(user_id):
        key = os.environ["NIGHT_PSEUDONYM_KEY"].encode()
        return hmac.new(key, user_id.encode(), hashlib.sha256).hexdigest()[:32]

    return of
