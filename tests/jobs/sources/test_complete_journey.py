from datetime import date, datetime

import pandas as pd
import pytest

from jobs.sources import complete_journey as source

NIGHT = date(2017, 1, 2)


@pytest.fixture
def data(tmp_path):
    """The package's files in small, with times as it stores them."""

    def write(name, columns, *rows):
        frame = pd.DataFrame(rows, columns=columns.split())
        frame.to_parquet(tmp_path / f"{name}.parquet", use_deprecated_int96_timestamps=True)

    write(
        "transactions",
        "household_id store_id basket_id product_id quantity sales_value retail_disc coupon_disc coupon_match_disc "
        "week transaction_timestamp",
        (1, 10, 100, 25671, 2, 3.5, 0.1, 0.2, 0.0, 1, datetime(2017, 1, 1, 11, 53, 26)),
        (1, 10, 101, 6534178, 12_345, 27.5, 0.0, 0.0, 0.0, 2, datetime(2017, 1, 2, 5)),
        (2, 10, 102, 6534178, 1, 15.0, 0.0, 0.0, 0.0, 2, datetime(2017, 1, 2, 6)),
        (2, 10, 103, 25671, 5_000, 15.0, 0.0, 0.0, 0.0, 2, datetime(2017, 1, 4, 4)),
    )
    write(
        "products",
        "product_id manufacturer_id department brand product_category product_type package_size",
        (25671, 2, "GROCERY", "National", "FRZN ICE", "ICE - CRUSHED/CUBED", "22 LB"),
        (26081, 2, "MISCELLANEOUS", "National", None, None, None),
        (26093, 69, "PASTRY", "Private", "BREAD", "BREAD:ITALIAN/FRENCH", None),
        (6534178, 69, "FUEL", "Private", "COUPON/MISC ITEMS", "GASOLINE-REG UNLEADED", None),
    )
    write(
        "coupon_redemptions",
        "household_id coupon_upc campaign_id redemption_date",
        (1, 51380041013, 26, datetime(2017, 1, 1)),
        (1, 51380041313, 26, datetime(2017, 1, 1)),
    )
    write("campaigns", "campaign_id household_id", (26, 1), (27, 1), (26, 2))
    write(
        "campaign_descriptions",
        "campaign_id campaign_type start_date end_date",
        (26, "Type B", datetime(2016, 12, 28), datetime(2017, 2, 19)),
        (27, "Type A", datetime(2017, 2, 8), datetime(2017, 3, 26)),
    )
    write(
        "promotions",
        "product_id store_id display_location mailer_location week",
        (25671, 10, "9", "0", 1),
        (25671, 10, "0", "A", 2),
        (25671, 10, "0", "A", 3),
    )
    people = "household_id age income home_ownership marital_status household_size household_comp kids_count"
    write(
        "demographics",
        people,
        (1, "65+", "35-49K", None, "Married", "2", "2 Adults No Kids", "0"),
        (2, "45-54", "50-74K", "Homeowner", None, "1", "1 Adult No Kids", "0"),
    )
    return str(tmp_path)


def test_purchases_and_fuel_in_gallons(spark, data):
    rows = source.events(spark, data, None, NIGHT).where("event_type = 'purchase'").orderBy("ts").collect()
    columns = ("day", "user_id", "item_id", "quantity", "amount", "discount", "basket_id", "store_id")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        (date(2017, 1, 1), 1, 25671, 2.0, 3.5, 0.3, 100, 10),
        (NIGHT, 1, 6534178, 12.345, 27.5, 0.0, 101, 10),
        (NIGHT, 2, 6534178, 1.0, 15.0, 0.0, 102, 10),  # prepaid: one sale, not a thousandth of a gallon
    ]
    assert str(rows[0]["ts"]) == "2017-01-01 11:53:26"


def test_redemptions_of_one_day_are_told_apart(spark, data):
    rows = source.events(spark, data, None, NIGHT).where("event_type = 'coupon_redemption'").collect()
    assert {row["event_id"] for row in rows} == {
        "redemption-1-26-51380041013-2017-01-01",
        "redemption-1-26-51380041313-2017-01-01",
    }
    assert {(row["user_id"], row["campaign_id"], row["item_id"], str(row["ts"])) for row in rows} == {
        (1, 26, None, "2017-01-01 00:00:00")
    }


def test_a_night_reads_one_day_and_a_day_outside_is_an_error(spark, data):
    assert source.events(spark, data, date(2017, 1, 1), NIGHT).count() == 2
    assert source.events(spark, data, NIGHT, date(2017, 1, 3)).count() == 0
    with pytest.raises(ValueError, match=r"Complete Journey: no data for 2017-01-05; it has 2017-01-01 to 2017-01-04"):
        source.events(spark, data, None, date(2017, 1, 5))
    with pytest.raises(ValueError, match=r"nowhere/products.parquet: not a readable Parquet file"):
        source.events(spark, f"{data}/nowhere", None, NIGHT)


def test_items_have_readable_titles_and_no_invented_names(spark, data):
    rows = {row["item_id"]: row for row in source.items(spark, data, None, NIGHT).collect()}
    assert (rows[25671]["title"], rows[25671]["brand"]) == ("Ice - crushed/cubed, 22 lb", "Brand 2")
    assert rows[25671]["category_path"] == ["Grocery", "Frzn ice", "Ice - crushed/cubed"]
    assert (rows[26081]["title"], rows[26081]["category_path"]) == ("Miscellaneous", ["Miscellaneous"])
    assert (rows[26093]["title"], rows[26093]["brand"]) == ("Bread: italian/french", "Private label 69")


def test_campaigns_are_known_from_their_first_day(spark, data):
    def known(day):
        return {(row["campaign_id"], row["user_id"]) for row in source.campaigns(spark, data, None, day).collect()}

    assert known(NIGHT) == {(26, 1), (26, 2)}
    assert known(date(2017, 2, 8)) == {(26, 1), (26, 2), (27, 1)}


def test_promotions_run_from_monday_to_sunday(spark, data):
    rows = source.promotions(spark, data, None, date(2017, 1, 8)).orderBy("start_day").collect()
    assert [(row["day"], row["start_day"], row["end_day"], row["display"], row["mailer"]) for row in rows] == [
        (date(2016, 12, 26), date(2016, 12, 26), date(2017, 1, 1), "9", None),
        (date(2017, 1, 2), date(2017, 1, 2), date(2017, 1, 8), None, "A"),
    ]
    assert source.promotions(spark, data, date(2017, 1, 2), date(2017, 1, 8)).count() == 0


def test_what_is_not_known_of_a_household_is_absent(spark, data):
    known = {row["user_id"]: row["attributes"] for row in source.users(spark, data, None, NIGHT).collect()}
    assert "marital_status" not in known[2]
    assert known[1] == {
        "age": "65+",
        "income": "35-49K",
        "marital_status": "Married",
        "household_size": "2",
        "household_comp": "2 Adults No Kids",
        "kids_count": "0",
    }


def test_the_real_data_end_with_the_year_and_have_a_day_without_a_purchase(spark):
    assert source.last_day("") == date(2017, 12, 31)
    assert source.events(spark, "", date(2017, 12, 24), date(2017, 12, 25)).collect() == []
