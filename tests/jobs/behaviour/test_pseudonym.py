import hashlib
import hmac

import pytest
from pyspark.sql import functions as F

from jobs.behaviour.pseudonym import pseudonym, pseudonym_key

KEYS = ["k" * 32, "exactly one block of sha-256 is made of sixty-four bytes, this.."[:64], "b" * 65, "schlüssel " * 20]


def test_equals_hmac_sha256_of_the_standard_library(spark):
    ids = ["1", "", "user@example.org", "用户🙂", "a\0b", "x" * 5000]
    people = spark.createDataFrame([(user_id,) for user_id in ids], "user_id string")
    found = people.select(*(pseudonym(F.col("user_id"), key.encode()).alias(str(n)) for n, key in enumerate(KEYS)))
    expected = [
        tuple(hmac.new(key.encode(), user_id.encode(), hashlib.sha256).hexdigest()[:32] for key in KEYS)
        for user_id in ids
    ]
    assert [tuple(row) for row in found.collect()] == expected


def test_nobody_stays_nobody(spark):
    assert spark.range(1).select(pseudonym(F.lit(None).cast("string"), KEYS[0].encode())).first()[0] is None


def test_the_key_is_in_no_plan(spark):
    key = bytes(range(60, 100))
    hashed = spark.range(1).select(pseudonym(F.col("id").cast("string"), key).alias("user_id"))
    queries = hashed._jdf.queryExecution()
    plans = queries.toString() + queries.simpleString() + queries.stringWithStats()
    padded = key.ljust(64, b"\0")
    for secret in (key, bytes(byte ^ 0x36 for byte in padded), bytes(byte ^ 0x5C for byte in padded)):
        assert secret.hex()[:16] not in plans.lower()
        assert " ".join(f"{byte:02x}" for byte in secret[:8]) not in plans.lower()
    assert "redacted" in plans


@pytest.mark.parametrize(("key", "has"), [(None, 0), ("", 0), ("k" * 31, 31)])
def test_a_missing_or_short_key_says_how_to_set_one(monkeypatch, key, has):
    if key is None:
        monkeypatch.delenv("NIGHT_PSEUDONYM_KEY", raising=False)
    else:
        monkeypatch.setenv("NIGHT_PSEUDONYM_KEY", key)
    with pytest.raises(ValueError, match=f"NIGHT_PSEUDONYM_KEY has {has} characters, at least 32 .*openssl rand"):
        pseudonym_key()
