"""A sum of vectors whose adder sees only masked ones, and their sum (Bonawitz et al. 2017).

Each two of the parties agree on a secret (X25519: RFC 7748) that the adder, who passes their public keys on, doesn't
learn. A mask made of it is added by one of the two and taken away by the other, so in the sum nothing of it is left.
All is counted modulo 2^32, where a masked number is as likely to be any other.

This is the paper's protocol without its recovery from dropouts: where one party's vector is missing, the masks of that
party stay in the sum, which is noise then. Parties and adder are taken to follow the protocol.
"""

from dataclasses import dataclass
from hashlib import shake_256

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

NUMBER = np.dtype("<u4")


@dataclass(frozen=True)
class Scale:
    """Whole numbers modulo 2^32 for real ones, so that the sum of ``parties`` of them has a meaning.

    Args:
        bound: largest size of a real number.
    """

    bound: float
    parties: int

    @property
    def step(self) -> float:
        """Between two neighbouring real numbers that can be told apart."""
        return self.bound / ((2**31 - 1) // self.parties)

    def encode(self, vector: np.ndarray) -> np.ndarray:
        """uint32 of float64, each the nearest.

        Raises:
            ValueError: if a number is beyond the bound, or none.
        """
        largest = float(np.abs(vector).max(initial=0.0))
        if not largest <= self.bound:
            raise ValueError(f"a number of size {largest:g} doesn't fit into the secure sum's bound {self.bound:g}")
        return (np.rint(vector / self.step).astype(np.int64) % 2**32).astype(NUMBER)

    def decode(self, total: np.ndarray) -> np.ndarray:
        """float64 of the uint32 sum of all parties' numbers."""
        return total.view(np.dtype("<i4")) * self.step


class Party:
    """One of those whose vectors are added, at its place among them."""

    def __init__(self, place: int):
        self.place, self._key = place, X25519PrivateKey.generate()

    @property
    def public(self) -> bytes:
        """What the others need of its key."""
        return self._key.public_key().public_bytes_raw()

    def meet(self, publics: list[bytes]) -> None:
        """Agree with each of the others, whose public keys are these, by place."""
        self._shared = {
            other: self._key.exchange(X25519PublicKey.from_public_bytes(public))
            for other, public in enumerate(publics)
            if other != self.place
        }

    def masked(self, numbers: np.ndarray, turn: int) -> np.ndarray:
        """uint32: the numbers under the masks of that turn; a turn's masks must hide one vector only."""
        found = numbers.copy()
        for other, secret in self._shared.items():
            stream = shake_256(secret + turn.to_bytes(8, "little")).digest(NUMBER.itemsize * len(numbers))
            mask = np.frombuffer(stream, NUMBER)
            found += mask if self.place < other else -mask
        return found


def gathered(count: int) -> list[Party]:
    """So many parties who have met."""
    parties = [Party(place) for place in range(count)]
    publics = [party.public for party in parties]
    for party in parties:
        party.meet(publics)
    return parties


def added(vectors: list[np.ndarray]) -> np.ndarray:
    """uint32: what the adder does."""
    return np.sum(vectors, axis=0, dtype=NUMBER)
