"""Pseudonyms: a keyed hash of a person's id, so that nobody without the key can tell or guess who it is."""

import hashlib
import os

from pyspark.sql import Column
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


def pseudonym(user_id: Column, key: bytes) -> Column:
    """HMAC-SHA256 of ``user_id`` as UTF-8 under ``key`` (RFC 2104), its first 32 hex digits; null of null.

    Two nested ``sha2`` with the key's padded blocks as literals. The session's redaction keeps those out of plans and
    event logs.
    """
    block = (key if len(key) <= BLOCK else hashlib.sha256(key).digest()).ljust(BLOCK, b"\0")
    inner = F.sha2(F.concat(_masked(block, 0x36), F.encode(user_id, "UTF-8")), 256)
    outer = F.sha2(F.concat(_masked(block, 0x5C), F.unhex(inner)), 256)
    return F.substring(outer, 1, DIGITS)


def _masked(block: bytes, mask: int) -> Column:
    return F.lit(bytes(byte ^ mask for byte in block))
