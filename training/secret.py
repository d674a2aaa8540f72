"""Randomness that nobody may foresee: noise that can be computed again is no noise, nor is a draw that is known.

All of it is a function of a key and of what is asked, so that a killed run goes on as it would have, and users don't
depend on each other. The key comes from the operating system, once a run.
"""

import os
import secrets
from collections.abc import Iterator
from hashlib import blake2b, shake_256
from pathlib import Path

import numpy as np

KEY_BYTES = 32


class Secret:
    """Draws of users, and noise, by the key of a run."""

    def __init__(self, key: bytes):
        self._key = key

    @classmethod
    def kept(cls, path: Path, *, resumed: bool) -> "Secret":
        """The key in that file, which only its owner can read; a fresh one where none is, unless the run goes on.

        Raises:
            ValueError: if a run that goes on has lost it.
        """
        if not path.exists():
            if resumed:
                raise ValueError(f"{path}, the key of the run's noise, is gone; delete {path.parent} to start anew")
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".draft")
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
            draft.replace(path)
        return cls(path.read_bytes())

    def drawn(self, step: int, users: list[str], rate: float) -> Iterator[tuple[int, int]]:
        """Position and a seed of each user who takes part in the step, each by itself with probability ``rate``.

        A keyed hash (RFC 7693) of the step and the user's id decides, so who else is there changes nothing.
        """
        salt, below = step.to_bytes(blake2b.SALT_SIZE, "little"), rate * 2**64
        for place, user in enumerate(users):
            told = blake2b(user.encode(), digest_size=24, key=self._key, salt=salt).digest()
            if int.from_bytes(told[:8], "little") < below:
                yield place, int.from_bytes(told[8:], "little")

    def normal(self, step: int, size: int) -> np.ndarray:
        """float64[size] of the step: standard normal (Box and Muller 1958) from bytes of SHAKE-256 (FIPS 202)."""
        half = -(-size // 2)
        told = shake_256(self._key + b"noise" + step.to_bytes(8, "little")).digest(16 * half)
        uniform = ((np.frombuffer(told, "<u8") >> np.uint64(11)) + 0.5) * 2.0**-53
        radius, angle = np.sqrt(-2 * np.log(uniform[:half])), 2 * np.pi * uniform[half:]
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:size]
