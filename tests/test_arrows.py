"""Which room may import which: jobs -> schemas <- training, and dags and schemas know next to nothing."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"jobs", "training", "schemas", "dags", "benchmarks", "tests"}
STANDARD = set(sys.stdlib_module_names)


def imported(source: str) -> set[str]:
    """The modules that a file imports, wherever in it it does so."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which room a name comes from"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def packages(modules: set[str]) -> set[str]:
    return {module.split(".")[0] for module in modules}


def files(room: str) -> list[Path]:
    found = sorted((ROOT / room).rglob("*.py"))
    assert found, f"{room} has no Python file: was it renamed?"
    return found


def strays(room: str, allowed: set[str] | None = None, forbidden: set[str] = frozenset()) -> list[str]:
    """``file imports package`` for each import that the room may not have."""
    told = []
    for file in files(room):
        own = {path.stem for path in file.parent.glob("*.py")} if room == "dags" else {room.split("/")[0]}
        for package in packages(imported(file.read_text(encoding="utf-8"))) - own - STANDARD:
            if package in forbidden or (allowed is not None and package not in allowed):
                told.append(f"{file.relative_to(ROOT)} imports {package}")
    return told


def test_imports_are_found_inside_functions_and_under_other_names():
    source = "import a.b as c\ndef f():\n    from d.e import g\n    if True:\n        import h\n"
    assert imported(source) == {"a.b", "d.e", "d.e.g", "h"}
    with pytest.raises(AssertionError, match="relative imports"):
        imported("from . import x")


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        ("jobs", {"training", "dags", "tests", "benchmarks", "deepspeed", "transformers", "airflow"}),
        ("training", {"jobs", "dags", "tests", "benchmarks", "pyspark", "delta", "airflow", "great_expectations"}),
    ],
)
def test_the_two_halves_know_the_contract_and_not_each_other(room, forbidden):
    assert strays(room, forbidden=forbidden) == []


def test_the_contract_needs_nothing_but_python():
    assert strays("schemas", allowed=set()) == []


def test_dags_import_airflow_and_names():
    assert strays("dags", allowed={"airflow", "schemas"}) == []


def test_the_maths_of_ranking_is_numpy_and_scipy_alone():
    assert strays("jobs/ranking", allowed={"numpy", "scipy"}) == []
    for file in files("jobs/ranking"):
        rooms = {module for module in imported(file.read_text(encoding="utf-8")) if packages({module}) & OURS}
        assert all(module.startswith("jobs.ranking") for module in rooms), f"{file.name} imports {rooms}"
