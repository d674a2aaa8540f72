"""What Spark's errors mean for the person who runs the night: what happened, to which table, and what to do."""

import re

from schemas import Table

DAMAGED = re.compile(r"FAILED_READ_FILE.*?reading file (\S+?)\.?[\s,]", re.DOTALL)
FULL = re.compile(r"No space left on device|File too large|Disk quota exceeded")
FORBIDDEN = re.compile(
    r"Permission denied|Operation not permitted|Read-only file system|Mkdirs failed|AccessControlException"
    r"|Cannot create (?:directory|file)|Unable to create|Not a directory"
)


def understood(error: Exception, table: Table, lake: str) -> Exception | None:
    """The error to raise in the place of Spark's ``error``; None if it says nothing that a person could act on.

    A ValueError for what no retry mends, an OSError for what may pass.
    """
    told = str(error)
    if found := DAMAGED.search(told):
        file = re.sub("^file:/+", "/", found[1])
        return ValueError(f"{table.name}: the file {file} is damaged; deliver it again, then run the night again")
    if found := FULL.search(told):
        return OSError(
            f"{table.name}: {found[0].lower()} in {lake} or in Spark's folder for temporary files; nothing of the "
            "table's night was published: make room, then run the night again"
        )
    if found := FORBIDDEN.search(told):
        line = next(line for line in told.splitlines() if found[0] in line)
        return OSError(f"{table.name}: the lake {lake} can't be written: {line.strip()}")
    return None
