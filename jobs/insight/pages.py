"""Where the pages of the nights lie, and how long: they show what single shoppers bought."""

import os
from datetime import date, timedelta
from pathlib import Path

from schemas.contract import MONTH

FOLDER = "var/pages"


def folder() -> Path:
    """NIGHT_PAGES, or where make has it."""
    return Path(os.environ.get("NIGHT_PAGES", FOLDER))


def expired(day: date) -> list[Path]:
    """Deletes the pages of nights MONTH days before ``day`` and earlier; which they were."""
    last = (day - timedelta(days=MONTH)).isoformat()
    old = [page for page in sorted(folder().glob("????-??-??.html")) if page.stem <= last]
    for page in old:
        page.unlink(missing_ok=True)
    return old
