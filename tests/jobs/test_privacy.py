"""What may be told of people, as the environment says."""

import pytest

from jobs.privacy import Privacy


def test_settings_come_from_the_environment_and_an_empty_one_is_the_default():
    assert Privacy.of({"NIGHT_K": " 25 ", "NIGHT_WINDOW_EPSILON": "2"}) == Privacy(k=25, window_epsilon=2.0)
    assert Privacy.of({"NIGHT_K": ""}) == Privacy.of({}) == Privacy(k=10)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("NIGHT_K", "ten", "NIGHT_K = ten, expected a whole number"),
        ("NIGHT_K", "2.5", "NIGHT_K = 2.5, expected a whole number"),
        ("NIGHT_K", "0", "NIGHT_K = 0, expected a whole number of 1 or more"),
        ("NIGHT_EPSILON", "much", "NIGHT_EPSILON = much, expected a number"),
        ("NIGHT_EPSILON", "nan", "NIGHT_EPSILON = nan, expected a number from 0 to 100"),
        ("NIGHT_DELTA", "0", "NIGHT_DELTA = 0.0, expected a number from 1e-12 to 0.001"),
        ("NIGHT_WINDOW", "367", "NIGHT_WINDOW = 367, expected a whole number from 1 to 366"),
        ("NIGHT_WINDOW_EPSILON", "inf", "NIGHT_WINDOW_EPSILON = inf, expected a number above 0"),
        ("NIGHT_WINDOW_DELTA", "1", "NIGHT_WINDOW_DELTA = 1.0, expected a number from 1e-12 to 0.001"),
        ("NIGHT_MOST_VALUE", "-1", "NIGHT_MOST_VALUE = -1.0, expected a number above 0"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(variable, value, told):
    with pytest.raises(ValueError, match=told):
        Privacy.of({variable: value})
