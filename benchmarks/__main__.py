"""Runs one benchmark: a table for people, then one line of JSON for machines.

python -m benchmarks NAME [--dataset D] [--export FOLDER --lake LAKE --day D [--backbone FOLDER]] [--gpu] [--events N]
    [--part P] [--quick]
"""

import argparse
import importlib
import json
import logging
import pkgutil
from datetime import date
from itertools import zip_longest
from pathlib import Path

import benchmarks
from benchmarks import Result

# which trained model is measured, whether only what trains on a GPU is, how much at most, and which part of it all
OPTIONS = ("export", "lake", "day", "backbone", "gpu", "events", "part")


def names() -> dict[str, str]:
    """The benchmarks there are, each with the first line of its docstring."""
    found = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "__main__")
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in found}
    return {name: (module.__doc__ or "").split("\n")[0] for name, module in modules.items() if hasattr(module, "run")}


def report(name: str, result: Result, machine: dict) -> str:
    """The line for machines."""
    goals = {
        title: {"goal": goal.goal, "reached": goal.reached, "met": goal.met} for title, goal in result.goals.items()
    }
    return json.dumps({"benchmark": name, "machine": machine, "goals": goals, "figures": result.figures})


def table(rows: list[list[str]]) -> str:
    """The rows under each other: the first column to the left, figures to the right; a row may be shorter."""
    first, *others = (max(map(len, column)) for column in zip_longest(*rows, fillvalue=""))
    lines = []
    for title, *figures in rows:
        cells = [figure.rjust(width) for figure, width in zip(figures, others, strict=False)]
        lines.append("  ".join([title.ljust(first), *cells]).rstrip())
    return "\n".join(lines)


def main() -> None:
    known = names()
    listed = "\n".join(f"  {name:12} {about}" for name, about in known.items())
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description=__doc__,
        epilog=f"benchmarks:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=known, metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="less data: shows that it runs, not how fast")
    parser.add_argument("--dataset", metavar="D", help="of a benchmark that has several; it names them")
    parser.add_argument("--export", metavar="FOLDER", type=Path, help="of a benchmark of a trained model: its export,")
    parser.add_argument("--lake", metavar="LAKE", help="a lake with the night that it was trained on,")
    parser.add_argument("--day", metavar="D", type=date.fromisoformat, help="that night,")
    parser.add_argument("--backbone", metavar="FOLDER", help="and what its language model was made of")
    parser.add_argument("--gpu", action="store_const", const=True, help="of a benchmark of training: on the GPU alone")
    parser.add_argument("--events", metavar="N", type=int, help="of a benchmark of several sizes: the largest")
    parser.add_argument("--part", metavar="P", help="of a benchmark of several parts: this one alone")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    machine = benchmarks.machine()  # before the benchmark itself loads it
    module = importlib.import_module(f"benchmarks.{given.name}")
    datasets = getattr(module, "DATASETS", ())
    if given.dataset not in (datasets or (None,)):
        parser.error(f"{given.name} {'needs --dataset: ' + ', '.join(datasets) if datasets else 'has no --dataset'}")
    needs, takes = getattr(module, "NEEDS", ()), getattr(module, "TAKES", ())
    options = {name: getattr(given, name) for name in OPTIONS if getattr(given, name) is not None}
    if missing := [f"--{name}" for name in needs if name not in options]:
        parser.error(f"{given.name} needs a trained model: {', '.join(missing)} missing")
    if useless := [f"--{name}" for name in options if name not in (*needs, *takes)]:
        parser.error(f"{given.name} has no {', '.join(useless)}")
    if given.part and given.part not in module.PARTS:
        parser.error(f"{given.name} has no part {given.part}; it has {', '.join(module.PARTS)}")
    options |= {"dataset": given.dataset} if datasets else {}
    result = module.run(given.quick, **options)
    print(table(result.table))
    for title, goal in result.goals.items():
        print(f"{'met   ' if goal.met else 'MISSED'} {title}: {goal.reached:g}, goal {goal.goal:g}")
    print(report(given.name, result, machine))


if __name__ == "__main__":
    main()
