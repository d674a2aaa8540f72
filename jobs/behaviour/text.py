"""Texts that people typed or shops wrote, made fit to print."""

from pyspark.sql import Column
from pyspark.sql import functions as F


def cleaned(text: Column) -> Column:
    """``text`` on one line: no control characters, single spaces, none at the ends; null if nothing is left."""
    visible = F.regexp_replace(text, r"[\p{Cc}&&[^\t\n\r\f\x0B]]", "")
    line = F.trim(F.regexp_replace(visible, r"[\s\p{Z}]+", " "))
    return F.when(line != "", line)
