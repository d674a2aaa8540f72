"""The model card of a judged version, as Markdown: its sections are those of Mitchell et al. (2019)."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from training.accounting import statement
from training.answers import Answers
from training.data import Night
from training.held_out import GATE, GROUPED, LEAST, Figures
from training.plots import in_order, titled
from training.recipe import HELD_OUT_DAYS
from training.tracking import MODEL

if TYPE_CHECKING:
    from training.judge import Decision

METRICS = (
    GATE,
    "recall_at_10",
    "precision_at_10",
    "mrr_at_10",
    "revenue_at_10",
    "diversity_at_10",
    "novelty_at_10",
    "coverage_at_10",
)
PURPOSE = """\
It orders the items of this shop for its known users by what they are likely to buy next.

It is not for another shop's items, for telling anything about a person but what they may buy, or for
saying what a list will sell: it learned from what people bought, not from what lists made them buy."""


def facts(night: Night) -> dict:
    """What the card says of a night: sizes, of histories and exposures as training sees them, and Delta versions."""
    seen = night.training()
    return {
        "day": night.day,
        "users": len(night.user_ids),
        "items": len(night.item_ids),
        "known_items": night.known,
        "events": len(seen.histories.items),
        "exposures": len(seen.exposures),
        "versions": night.versions,
    }


def model_card(
    parameters: dict,
    night: dict,
    decision: "Decision",
    answers: Answers,
    privacy: dict | None = None,
) -> str:
    """The card of the candidate that ``decision`` is about.

    Args:
        parameters: of the recipe.
        night: as :func:`facts` gives them. answers: how well its heads foresaw the held-out days.
        privacy: the fields of a private training's ``training.accounting.Guarantee``.
    """
    named = {**parameters, "backbone": parameters["backbone"] or "all-MiniLM-L6-v2"}
    sections = {
        "What it is": _what(parameters, night, decision),
        "What it is for, and what not": PURPOSE,
        "Data": _data(night),
        "Training": _table(["parameter", "value"], [list(row) for row in _flat(named)]),
        **({"Privacy": statement(privacy)} if privacy else {}),
        "Figures": _overall(decision),
        "Figures by group": _by_group(decision.figures),
        "Probabilities and money": _answers(night, answers),
        "Limits": "\n".join(f"- {limit}" for limit in _limits(night, decision)),
        "How to load it": _loading(decision.candidate_version),
    }
    title = f"# {MODEL}, version {decision.candidate_version}"
    return "\n\n".join([title, *(f"## {name}\n\n{text}" for name, text in sections.items())]) + "\n"


def _what(parameters: dict, night: dict, decision: "Decision") -> str:
    verdict = "became champion" if decision.promoted else "did not become champion"
    return (
        "A recommender of two towers: an item's vector comes from its text, brand, categories and identity, a user's\n"
        "from their history. Relevance is the inner product of the two, and what having bought the item adds.\n\n"
        f"It was trained by the recipe `{parameters['name']}` on the night of {night['day']}.\n"
        f"It {verdict}: {decision.reason}."
    )


def _data(night: dict) -> str:
    cut = night["day"] - timedelta(days=HELD_OUT_DAYS - 1)
    sizes = [[name.replace("_", " "), f"{night[name]:,}"] for name in ("users", "items", "known_items", "events")]
    sizes.append(["exposures", f"{night['exposures']:,}"])
    return "\n\n".join(
        [
            f"Training saw what happened before {cut}; the {HELD_OUT_DAYS} days from then to {night['day']} were held "
            "out.\nKnown items, events and exposures are those before them.",
            _table(["", "count"], sizes),
            _table(["table", "Delta version"], [[name, f"{version}"] for name, version in night["versions"].items()]),
        ]
    )


def _overall(decision: "Decision") -> str:
    figures = decision.figures
    told = [metric for metric in METRICS if any(metric in each.means for each in figures.values())]
    rows = [
        [titled(metric), *(_cell(each.means, each.intervals, metric) for each in figures.values())] for metric in told
    ]
    champion = (
        f"The champion is version {decision.champion_version}" if "champion" in figures else "No champion is compared"
    )
    untold = ", ".join(titled(metric) for metric in METRICS if metric not in told)
    leads = [
        [name, _number(figures["candidate"].means[GATE] - figures[name].means[GATE]), _interval(bounds)]
        for name, bounds in decision.ahead.items()
    ]
    return "\n\n".join(
        [
            f"Means over the {figures['candidate'].users:,} users who bought in the held-out days, every item ranked,\n"
            f"with 95 % bootstrap intervals. {champion}.",
            _table(["", *figures], rows),
            *([f"Not measured: {untold}."] if untold else []),
            f"How far the candidate's {titled(GATE)} is ahead, user by user:",
            _table(["ahead of", "mean", "95 % interval"], leads),
        ]
    )


def _by_group(figures: dict[str, Figures]) -> str:
    groups = in_order(list(figures["candidate"].groups))
    if not groups:
        return f"No group has {LEAST} users, the fewest that are compared."
    rows = []
    for group in groups:
        told = [each.groups[group] for each in figures.values()]
        cells = [_cell(each["means"], each["intervals"], GATE) for each in told]
        rows.append([group.replace("=", " "), f"{told[0]['users']:,}", *cells])
    head = f"{titled(GATE)} with 95 % bootstrap intervals; groups of fewer than {LEAST} users are left out."
    return f"{head}\n\n{_table(['', 'users', *figures], rows)}"


def _answers(night: dict, answers: Answers) -> str:
    return "\n\n".join([*_calibration(night, answers), *_spend(answers.spend)])


def _spend(spend: dict[str, float]) -> list[str]:
    if not spend:
        return []
    ratio, mae, usual = (_number(spend[name]) for name in ("ratio", "mae", "mae_usual"))
    return [
        f"Of the purchases of the held-out days {ratio} times their money was expected. One purchase's was missed by "
        f"{mae} in the\nmean; what the item's purchases had brought before misses it by {usual}."
    ]


def _calibration(night: dict, answers: Answers) -> list[str]:
    if not night["exposures"]:
        return ["There are no exposures, so no head learned from them and the lists have no p_click and no p_purchase."]
    if not answers.reliability:
        return ["Probabilities were not measured: nothing was shown in the held-out days, or no head could learn."]
    rows = []
    for name, found in answers.reliability.items():
        predicted, observed = (
            sum(weight * each for weight, each in zip(found.weight, values, strict=True))
            for values in (found.predicted, found.observed)
        )
        figures = (predicted, observed, found.ratio, found.ece, found.brier, found.log_loss)
        rows.append([name, f"{found.rows:,}", f"{found.positives:,}", *map(_number, figures)])
    columns = ["", "rows", "positive", "predicted", "observed", "ratio", "ECE", "Brier", "log loss"]
    told = [
        f"The correction of {name} is sigmoid({slope} * logit + offset) with offset {offset} (Platt 1999)."
        for name, (slope, offset) in ((n, map(_number, (p.slope, p.offset))) for n, p in answers.corrections.items())
    ]
    read = "ECE is over bins of equal weight, log loss in nats a row."
    return [_table(columns, rows), "\n".join([read, *(told or ["The probabilities are not corrected."])])]


def _limits(night: dict, decision: "Decision") -> list[str]:
    figures, unknown = decision.figures, night["items"] - night["known_items"]
    found = [
        f"It was judged on the purchases of {HELD_OUT_DAYS} days, which don't tell what its lists change.",
        f"{unknown:,} of {night['items']:,} items were not bought before the held-out days: they are known by text, "
        "brand and categories alone.",
    ]
    for name, (low, high) in decision.ahead.items():
        if low <= 0:
            found.append(f"{'It is behind' if high < 0 else 'It is not clearly ahead of'} {name} in {titled(GATE)}.")
        mine, theirs = figures["candidate"].groups, figures[name].groups
        worse = [group for group in in_order(list(mine)) if mine[group]["means"][GATE] < theirs[group]["means"][GATE]]
        if worse:
            found.append(f"Its {titled(GATE)} is lower than that of {name} for {', '.join(worse).replace('=', ' ')}.")
    compared = {group.partition("=")[0] for group in figures["candidate"].groups}
    return found + [
        f"No group by {name} has {LEAST} users in the held-out days: {name} is not compared."
        for name in GROUPED
        if name not in compared
    ]


def _loading(version: str) -> str:
    return f"""\
It needs MLflow, torch and tokenizers, not the package that made it.

```python
from pathlib import Path

import mlflow
import torch
from tokenizers import Tokenizer

folder = Path(mlflow.artifacts.download_artifacts("models:/{MODEL}/{version}"))
item_encoder = torch.export.load(folder / "item_encoder.pt2").module()
user_encoder = torch.export.load(folder / "user_encoder.pt2").module()
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
```"""


def _flat(parameters: dict) -> Iterator[tuple[str, str]]:
    """Names and values; fields of fields are called ``pretraining.steps``."""
    for name, value in parameters.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{field}", told) for field, told in _flat(value))
        else:
            yield name, str(value)


def _table(columns: list[str], rows: list[list[str]]) -> str:
    """Markdown, the first column to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]

    def line(cells: list[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return f"| {' | '.join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])} |"

    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return "\n".join([line(columns), f"|{rule}|", *map(line, rows)])


def _cell(means: dict[str, float], intervals: dict[str, tuple[float, float]], metric: str) -> str:
    if metric not in means:
        return "-"
    return _number(means[metric]) + (f" {_interval(intervals[metric])}" if metric in intervals else "")


def _interval(bounds: tuple[float, float]) -> str:
    return f"[{', '.join(map(_number, bounds))}]"


def _number(value: float) -> str:
    """Four digits, or all before the point: 0.2680, 12.35, 12,346, 4.630e-05."""
    return f"{value:,.0f}" if 1000 <= abs(value) < np.inf else f"{value:#.4g}"
