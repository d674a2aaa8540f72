import hashlib
import hmac

import pytest
from pyspark.sql import functions as F

from jobs.behaviour.pseudonym import pseudonym_key, pseudonymised

KEYS = ["k" * 32, "exactly one block of sha-256 is made of sixty-four bytes, this.."[:64], "b" * 65, "schlüssel " * 20]


@pytest.mark.parametrize("key", KEYS, ids=len)
def test_equals_hmac_sha256_of_the_standard_library(spark, key):
    ids = ["1", "", "user@example.org", "用户🙂", "a\0b", "x" * 5000]
    people = spark.createDataFrame([(n, user_id) for n, user_id in enumerate(ids)], "n int, user_id string")
    found = pseudonymised(people, key.encode()).orderBy("n").collect()
    digests = [hmac.new(key.encode(), user_id.encode(), hashlib.sha256).hexdigest() for user_id in ids]
    assert [tuple(row) for row in found] == [(n, digest[:32]) for n, digest in enumerate(digests)]


def test_nobody_stays_nobody(spark):
    nobody = spark.range(1).select(F.lit(None).cast("string").alias("user_id"))
    assert [row.asDict() for row in pseudonymised(nobody, KEYS[0].encode()).collect()] == [{"user_id": None}]


def test_the_key_is_in_no_plan(spark):
    key = bytes(range(60, 100))
    query = pseudonymised(spark.range(1).selectExpr("string(id) AS user_id"), key)._jdf.queryExecution()
    # as in the event log, where nothing is redacted
    stages = (query.logical(), query.analyzed(), query.optimizedPlan(), query.sparkPlan(), query.executedPlan())
    plans = "".join(stage.treeString() for stage in stages).lower()
    assert "sha2" in plans
    padded = key.ljust(64, b"\0")
    for secret in (key, bytes(byte ^ 0x36 for byte in padded), bytes(byte ^ 0x5C for byte in padded)):
        assert secret.hex()[:16] not in plans
        assert " ".join(f"{byte:02x}" for byte in secret[:8]) not in plans


@pytest.mark.parametrize(("key", "has"), [(None, 0), ("", 0), ("k" * 31, 31)])
def test_a_missing_or_short_key_says_how_to_set_one(monkeypatch, key, has):
    if key is None:
        monkeypatch.delenv("NIGHT_PSEUDONYM_KEY", raising=False)
    else:
        monkeypatch.setenv("NIGHT_PSEUDONYM_KEY", key)
    with pytest.raises(ValueError, match=f"NIGHT_PSEUDONYM_KEY has {has} characters, at least 32 .*openssl rand"):
        pseudonym_key()
