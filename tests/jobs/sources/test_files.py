import json

import pytest

from jobs.sources import files


def test_columns_are_told_apart_whatever_their_names(spark, tmp_path):
    (tmp_path / "a.csv").write_text("\ufeffid,ID,a.b,,\n1,2,3,4,5\n", encoding="utf-8")
    (frame,) = files.frames(spark, [str(tmp_path / "a.csv")], ["ID", "a.b", "_c3", "id"], "test")
    row = frame.first()
    assert (row["ID"], row["a.b"], row["_c3"], row["id"]) == ("2", "3", "4", "1")
    assert row["_file"].endswith("/a.csv")


def test_json_keeps_python_escapes_and_control_characters_and_changes_no_json(spark, tmp_path):
    lines = [
        r"{'id': '1', 'title': 'it\'s caf\xe9'}",
        r'{"id": "2", "title": "C:\\x41"}',
        '{"id": 3, "title": "a\tb\0c", "more": {"x": [1]}}',
        '{"id": 4}, {"id": 5}]',
        '[{"id": 6}]',
        '"text"',
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (frame,) = files.frames(spark, [str(tmp_path / "a.jsonl")], ["id", "title", "more"], "test")
    rows = frame.collect()
    assert [(row["id"], row["title"], row["more"]) for row in rows[:3]] == [
        ("1", "it's café", None),
        ("2", r"C:\x41", None),
        ("3", "a\tb\0c", '{"x":[1]}'),
    ]
    assert [json.loads(row["_row"]) for row in rows if row["_rule"]] == [{"_line": line} for line in lines[4:]]


def test_a_field_that_no_json_line_has_is_an_error(spark, tmp_path):
    (tmp_path / "a.json").write_text('{"id": 1}\n{"name": "x"}\n')
    with pytest.raises(ValueError, match=r"test: .*a.json has no column title; it has: id, name"):
        files.frames(spark, [str(tmp_path / "a.json")], ["id", "title"], "test")


def test_a_column_of_one_file_among_many_is_not_let_go(spark, tmp_path):
    (tmp_path / "a.csv").write_text("id,name\n1,a\n")
    (tmp_path / "b.csv").write_text("id,nom\n2,b\n")
    paths = files.found(spark, str(tmp_path), "*.csv", "test")
    with pytest.raises(ValueError, match=r"test: .*b.csv has no column name; it has: id, nom"):
        files.frames(spark, paths, ["id", "name"], "test")
    kept = files.frames(spark, paths, ["id", "name"], "test", optional=["name"])
    assert [(row["id"], row["name"]) for frame in kept for row in frame.collect()] == [("1", "a"), ("2", None)]


def test_empty_files_have_no_rows(spark, tmp_path):
    for name in ("a.csv", "b.jsonl"):
        (tmp_path / name).write_text("")
        (frame,) = files.frames(spark, [str(tmp_path / name)], ["id"], "test")
        assert (frame.columns[0], frame.collect()) == ("id", [])
