from datetime import date, datetime

import pytest
from pyspark.sql import functions as F

from jobs.sources import times


def read(spark, values, kind="string", **how):
    rows = spark.createDataFrame([(position, value) for position, value in enumerate(values)], f"n int, value {kind}")
    found = rows.select("n", times.instant(F.col("value"), kind, **how).cast("string").alias("ts")).orderBy("n")
    return dict(zip(values, [row["ts"] for row in found.collect()], strict=True))


def test_text_is_read_as_iso_or_epoch_and_nothing_else(spark):
    expected = {
        "2017-12-31": "2017-12-31 00:00:00",
        "2017-12-31 10:00": "2017-12-31 10:00:00",
        "2017-12-31T10:00:00Z": "2017-12-31 10:00:00",
        "2017-12-31T10:00:00+0200": "2017-12-31 08:00:00",
        "2017-12-31 23:30:00-05:00": "2018-01-01 04:30:00",
        "2017-12-31 10:00:00.123456+00:00": "2017-12-31 10:00:00.123456",
        "1514714400": "2017-12-31 10:00:00",
        "1514714400.5": "2017-12-31 10:00:00.5",
        "1514714400123": "2017-12-31 10:00:00.123",
        "1514714400123456": "2017-12-31 10:00:00.123456",
        "1514714400123456789": "2017-12-31 10:00:00.123456",
        "2017-02-30": None,
        "2017-12-31x": None,
        "31/12/2017": None,
        "12:30": None,  # Spark alone would take today's
        "2017": None,
        "20171231": None,
        "99999-12-31": None,
        "yesterday": None,
        "": None,
    }
    assert read(spark, list(expected)) == expected


def test_a_zone_is_for_times_of_day_without_an_offset(spark):
    expected = {
        "2017-12-31 10:00:00": "2017-12-31 09:00:00",
        "2017-07-01 10:00:00": "2017-07-01 08:00:00",
        "2017-12-31 10:00:00Z": "2017-12-31 10:00:00",
        "2017-12-31 10:00:00 America/New_York": "2017-12-31 15:00:00",
        "2017-12-31": "2017-12-31 00:00:00",
        "1514714400": "2017-12-31 10:00:00",
    }
    assert read(spark, list(expected), zone="Europe/Paris") == expected


def test_a_pattern_reads_what_fits_it(spark):
    german = {"31.12.2017 10:05": "2017-12-31 09:05:00", "2017-12-31 10:05": None}
    assert read(spark, list(german), zone="Europe/Berlin", pattern="dd.MM.yyyy HH:mm") == german
    american = {"12/31/2017": "2017-12-31 00:00:00", "31/12/2017": None}
    assert read(spark, list(american), zone="America/New_York", pattern="MM/dd/yyyy") == american
    with_offset = {"31.12.2017 10:05 +0200": "2017-12-31 08:05:00"}
    assert read(spark, list(with_offset), zone="America/New_York", pattern="dd.MM.yyyy HH:mm xx") == with_offset


def test_typed_columns_keep_their_moment(spark):
    moment = datetime(2017, 7, 1, 10)
    assert read(spark, [1514714400123456789], kind="bigint") == {1514714400123456789: "2017-12-31 10:00:00.123456"}
    assert read(spark, [moment], kind="timestamp_ntz", zone="Europe/Paris") == {moment: "2017-07-01 08:00:00"}
    assert read(spark, [date(2017, 7, 1)], kind="date", zone="Europe/Paris") == {
        date(2017, 7, 1): "2017-07-01 00:00:00"
    }


def test_a_night_reads_its_days_and_rows_without_one(spark):
    rows = spark.sql("SELECT explode(array('2017-12-29', '2017-12-30', '2017-12-31', '2018-01-01', NULL)) AS day")
    rows = rows.select(F.col("day").cast("date"))

    def days(after):
        return {row["day"] for row in times.arrived(rows, after, date(2017, 12, 31)).collect()}

    assert days(date(2017, 12, 30)) == {date(2017, 12, 31), None}
    assert days(None) == {date(2017, 12, 29), date(2017, 12, 30), date(2017, 12, 31), None}


def test_a_day_outside_is_an_error_and_a_day_without_rows_is_not(spark):
    rows = spark.sql("SELECT explode(array(DATE'2017-12-24', DATE'2017-12-26', NULL)) AS day")
    times.check_inside(rows, date(2017, 12, 25), "shop")
    for day in (date(2017, 12, 23), date(2017, 12, 27)):
        with pytest.raises(ValueError, match=f"shop: no data for {day}; it has 2017-12-24 to 2017-12-26"):
            times.check_inside(rows, day, "shop")
    with pytest.raises(ValueError, match="shop: no row with a readable date"):
        times.check_inside(rows.where("day IS NULL"), date(2017, 12, 25), "shop")
