"""Times as sources write them, and which rows have arrived by a night."""

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

ISO = r"^\s*\d{4}-\d{2}-\d{2}([T ]|\s*$)"  # without it Spark reads "12:30" as a time of today
LOCAL = r"^\s*\d{4}-\d{2}-\d{2}[T ]\d[^A-Za-z+-]*$"  # a time of day without an offset or the name of a zone
EPOCH = r"^\s*-?\d{9,20}(\.\d+)?\s*$"


def instant(value: Column, kind: str, zone: str = "UTC", pattern: str | None = None) -> Column:
    """``value`` as a timestamp; null where it can't be read as one.

    Text is ISO 8601, or ``pattern`` in Spark's datetime letters. A time of day without an offset of its own is read in
    ``zone``; a date alone is that day in UTC.
    A number (or nine digits and more) is an epoch: its size tells seconds, milliseconds, microseconds and nanoseconds
    apart, which is right for every time between March 1973 and the year 5138.

    Args:
        value: text, number, timestamp or date.
        kind: its Spark type, as ``simpleString`` writes it.
        zone: an IANA time zone.
        pattern: such as ``dd/MM/yyyy HH:mm``.
    """
    if kind in ("timestamp", "date"):
        return value.cast("timestamp")
    if kind == "timestamp_ntz":
        return F.to_utc_timestamp(value.cast("timestamp"), zone)
    text = value.cast("string")
    if kind != "string":
        return _epoch(text)
    if pattern is not None:
        read = F.try_to_timestamp(text, F.lit(pattern))
        letters = "".join(pattern.split("'")[::2])  # without quoted text
        local = any(letter in letters for letter in "HhKk") and not any(letter in letters for letter in "VzOXxZ")
        return F.to_utc_timestamp(read, zone) if local else read
    read = F.try_to_timestamp(text)
    if zone != "UTC":
        read = F.when(text.rlike(LOCAL), F.to_utc_timestamp(read, zone)).otherwise(read)
    return F.when(text.rlike(ISO), read).when(text.rlike(EPOCH), _epoch(text))


def _epoch(text: Column) -> Column:
    number = text.try_cast("decimal(30,9)")
    size = F.abs(number)
    micros = (
        F.when(size < 10**11, number * 10**6)
        .when(size < 10**14, number * 10**3)
        .when(size < 10**17, number)
        .otherwise(number / 10**3)
    )
    return F.timestamp_micros(micros.cast("bigint"))


def arrived(rows: DataFrame, after: date | None, day: date) -> DataFrame:
    """The rows whose ``day`` lies in (after, day], and those without one, which no night could claim."""
    inside = F.col("day") <= F.lit(day)
    if after is not None:
        inside &= F.col("day") > F.lit(after)
    return rows.where(F.col("day").isNull() | inside)


def check_inside(rows: DataFrame, day: date, origin: str) -> None:
    """Raises ValueError with the first and last day of ``rows`` if ``day`` is outside; a day between may be empty."""
    if not rows.where(F.col("day") == F.lit(day)).isEmpty():
        return
    found = rows.agg(F.min("day").alias("first"), F.max("day").alias("last")).first()
    check_between(found["first"], day, found["last"], origin)


def check_between(first: date | None, day: date, last: date | None, origin: str) -> None:
    """Raises ValueError unless first <= day <= last."""
    if first is None or last is None:
        raise ValueError(f"{origin}: no row with a readable date")
    if not first <= day <= last:
        raise ValueError(f"{origin}: no data for {day}; it has {first} to {last}: choose a day between")
