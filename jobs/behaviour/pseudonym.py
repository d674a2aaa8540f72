"""Pseudonyms: a keyed hash of a person's id, so that nobody without the key can tell or guess who it is."""

import hashlib
import os

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

KEY_VARIABLE = "NIGHT_PSEUDONYM_KEY"
LEAST_KEY_LENGTH = 32
DIGITS = 32  # 128 bits of the hash: no two of a billion people meet
BLOCK = 64  # bytes that SHA-256 takes at a time


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


def pseudonymised(rows: DataFrame, key: bytes) -> DataFrame:
    """``rows`` with HMAC-SHA256 of ``user_id`` as UTF-8 under ``key`` (RFC 2104) in its place; null stays null.

    The key's two padded blocks come as a frame of one row: a literal would stand in plans and in Spark's event log,
    which redacts only some of its texts.
    """
    block = (key if len(key) <= BLOCK else hashlib.sha256(key).digest()).ljust(BLOCK, b"\0")
    pads = rows.sparkSession.createDataFrame(
        [(_masked(block, 0x36), _masked(block, 0x5C))], "_inner binary, _outer binary"
    )
    inner = F.sha2(F.concat("_inner", F.encode("user_id", "UTF-8")), 256)
    outer = F.sha2(F.concat("_outer", F.unhex(inner)), 256)
    return (
        rows.crossJoin(F.broadcast(pads)).withColumn("user_id", F.substring(outer, 1, DIGITS)).drop("_inner", "_outer")
    )


def _masked(block: bytes, mask: int) -> bytes:
    return bytes(byte ^ mask for byte in block)
