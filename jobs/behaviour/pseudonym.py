"""Pseudonyms: a keyed hash of a person's id, so that nobody without the key can tell or guess who it is."""

import hashlib
import hmac
import os

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

KEY_VARIABLE = "NIGHT_PSEUDONYM_KEY"
LEAST_KEY_LENGTH = 32
DIGITS = 32  # 128 bits of the hash: no two of a billion people meet
BLOCK = 64  # bytes that SHA-256 takes at a time
PADS = ("_inner", "_outer")


def pseudonym_key() -> bytes:
    """The key, from the environment.

    Raises:
        ValueError: if there is none or it is too short to keep anything secret.
    """
    key = os.environ.get(KEY_VARIABLE, "")
    if len(key) < LEAST_KEY_LENGTH:
        raise ValueError(
            f"{KEY_VARIABLE} has {len(key)} characters, at least {LEAST_KEY_LENGTH} are needed: set it to a secret "
            'that stays the same every night (made once, for instance, by "openssl rand -hex 32"); under another key '
            "everybody becomes somebody else"
        )
    return key.encode()


def pseudonym_of(user: str, key: bytes) -> str:
    """One person's pseudonym: HMAC-SHA256 of the id as UTF-8 (RFC 2104), its first 32 hex digits."""
    return hmac.new(key, user.encode(), hashlib.sha256).hexdigest()[:DIGITS]


def pseudonymised(rows: DataFrame, key: bytes) -> DataFrame:
    """``rows`` with :func:`pseudonym_of` ``user_id`` under ``key`` in its place; null stays null."""
    return with_pads(rows, key).withColumn("user_id", pseudonym(F.col("user_id"))).drop(*PADS)


def with_pads(rows: DataFrame, key: bytes) -> DataFrame:
    """``rows`` with the columns :data:`PADS`, by which :func:`pseudonym` hashes.

    The key's two padded blocks come as a frame of one row: a literal would stand in plans and in Spark's event log,
    which redacts only some of its texts.
    """
    block = (key if len(key) <= BLOCK else hashlib.sha256(key).digest()).ljust(BLOCK, b"\0")
    blocks = [(_masked(block, 0x36), _masked(block, 0x5C))]
    pads = rows.sparkSession.createDataFrame(blocks, ", ".join(f"{name} binary" for name in PADS))
    return rows.crossJoin(F.broadcast(pads))


def pseudonym(user: Column) -> Column:
    """:func:`pseudonym_of` an id, in a frame that has :data:`PADS`."""
    inner, outer = PADS
    hashed = F.sha2(F.concat(inner, F.encode(user, "UTF-8")), 256)
    return F.substring(F.sha2(F.concat(outer, F.unhex(hashed)), 256), 1, DIGITS)


def _masked(block: bytes, mask: int) -> bytes:
    return bytes(byte ^ mask for byte in block)
