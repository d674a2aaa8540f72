"""How results are shown."""

from benchmarks.__main__ import table


def test_figures_stand_to_the_right_and_a_row_may_be_shorter():
    rows = [["what", "ours", "a peer's"], ["seconds", "1.5", "12.0"], ["lists"]]
    assert table(rows).split("\n") == ["what     ours  a peer's", "seconds   1.5      12.0", "lists"]
