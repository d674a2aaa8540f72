"""The shop's own text as pre-training reads it: distinct texts, and which of them tell about which title."""

import hashlib
import re
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from training.lake import open_table, read_night
from training.recipe import HELD_OUT_DAYS

TABLE = "catalogue.texts"
HELD_OUT = 20  # one subject in so many is never trained on
COLUMNS = ["kind", "text", "about", "since"]


@dataclass(frozen=True)
class Corpus:
    """Texts, and pairs of them.

    Args:
        texts: distinct.
        pairs: int64[P, 2] positions in ``texts``: one that tells about an item, and that item's title.
        version: of the Delta table that was read.
    """

    texts: list[str]
    pairs: np.ndarray
    version: int

    def fingerprint(self) -> str:
        """A hash, so that a checkpoint is never continued on another corpus."""
        digest = hashlib.sha256("\n".join(self.texts).encode())
        digest.update(np.ascontiguousarray(self.pairs).tobytes())
        return digest.hexdigest()


def load_corpus(lake: str, day: date, night: date | None = None) -> tuple[Corpus, Corpus]:
    """What there is to train on, and what is held out, of the texts known before the held-out days of ``day``.

    Texts are those of the night ``night``, or of ``day``.

    An item's title and all that tells about it are on the same side. A text that stands on both sides, as the name of a
    category does, is trained on and not held out.

    Raises:
        ValueError: the table, the night, a column or the training part is missing.
    """
    delta = open_table(lake, TABLE)
    rows = read_night(delta, TABLE, night or day, COLUMNS)
    cut = day + timedelta(days=1 - HELD_OUT_DAYS)
    known = [row for row in rows.to_pylist() if row["since"] < cut]
    sides: tuple[list, list] = ([], [])
    for row in known:
        sides[_held_out(row["about"] or row["text"])].append((row["text"], row["about"]))
    if not sides[0]:
        raise ValueError(f"{TABLE} has no text known before {cut} for the night {night or day}; nothing to train on")
    trained = _corpus(sides[0], set(), delta.version())
    return trained, _corpus(sides[1], set(trained.texts), delta.version())


def _held_out(subject: str) -> bool:
    subject = re.sub(r"\W+", " ", subject.lower()).strip()  # a title stands once, whatever its case; about as it came
    return hashlib.sha256(subject.encode()).digest()[0] % HELD_OUT == 0


def _corpus(rows: list[tuple[str, str | None]], without: set[str], version: int) -> Corpus:
    texts = sorted({each for row in rows for each in row if each} - without)
    place = {text: number for number, text in enumerate(texts)}
    pairs = sorted({(place[text], place[about]) for text, about in rows if text in place and about in place})
    return Corpus(texts, np.array(pairs, np.int64).reshape(-1, 2), version)
