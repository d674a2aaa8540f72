"""A night as a model may see it that counts nothing over users: only the catalogue is taken as known to all."""

from dataclasses import replace

import numpy as np

from training.data import Night
from training.exposures import nothing
from training.queries import Queries


def public(night: Night) -> Night:
    """The night without a trace of who bought what but in the histories themselves.

    All items of the catalogue count as known, numbered by their ids: which were bought, and by that their order, is
    what users did. What users wrote, and what they were shown, is left out.
    """
    order = np.argsort(np.array(night.item_ids))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    position: dict[int, int] = {}
    text_of = np.array([position.setdefault(text, len(position)) for text in night.text_of[order].tolist()], np.int64)
    return replace(
        night,
        item_ids=[night.item_ids[item] for item in order],
        known=len(order),
        texts=[night.texts[text] for text in position],
        text_of=text_of,
        tags=night.tags[order],
        paths=night.paths[order],
        histories=replace(night.histories, items=place[night.histories.items]),
        exposures=nothing(),
        queries=Queries(np.zeros(0, np.int64), np.zeros(0, np.int64)),
    )
