"""What may be told of people, as the environment says."""

import pytest

from jobs.privacy import Privacy


def test_settings_come_from_the_environment_and_an_empty_one_is_the_default():
    assert Privacy.of({"NIGHT_K": " 25 "}) == Privacy(k=25)
    assert Privacy.of({"NIGHT_K": ""}) == Privacy.of({}) == Privacy(k=10)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("NIGHT_K", "ten", "NIGHT_K = ten, expected a whole number"),
        ("NIGHT_K", "2.5", "NIGHT_K = 2.5, expected a whole number"),
        ("NIGHT_K", "0", "NIGHT_K = 0, expected a whole number of 1 or more"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(variable, value, told):
    with pytest.raises(ValueError, match=told):
        Privacy.of({variable: value})
