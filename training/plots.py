"""What MLflow shows of a run: learning curves, calibration and groups. Pure functions that return a figure.

pyplot never knows of the figures, so nothing has to be closed. matplotlib takes half a second to import, which only
those who draw wait for.
"""

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from schemas.profiles import SEGMENTS
from training.calibration import Reliability
from training.held_out import Figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, DPI = 12, 100  # inches, and pixels an inch
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito 2008
MARKERS = ("o", "s", "D", "^", "v", "P")  # colour is never the only difference
GREY, PALE = "#767676", "#E4E4E4"
SMOOTH = 40  # a curve's mean is over one in so many of its points on either side
SMALL = 0.01  # calibration is drawn on logarithmic axes where a bin's mean probability is below
STEP = 0.17  # between two contenders, where groups are 1 apart


def titled(metric: str) -> str:
    """As people write it: NDCG@10 for ``ndcg_at_10``, Purchase loss for ``purchase_loss``."""
    name, _, cutoff = metric.partition("_at_")
    spoken = name.upper() if name in ("ndcg", "mrr", "f1") else name.replace("_", " ").capitalize()
    return f"{spoken}@{cutoff}" if cutoff else spoken


def in_order(groups: list[str]) -> list[str]:
    """Groups such as ``age=25-34``, the attributes as they come, within each segments and numbers ascending."""
    attributes = [group.partition("=")[0] for group in groups]

    def place(group: str) -> tuple[int, int, list[int]]:
        attribute, _, label = group.partition("=")
        numbers = [int(number) for number in re.findall(r"\d+", label)]
        return attributes.index(attribute), SEGMENTS.index(label) if label in SEGMENTS else -1, numbers

    return sorted(groups, key=place)


def learning_curves(curves: dict[str, list[tuple[int, float]]]) -> "Figure":
    """One panel a metric over the steps: the values, pale, and their moving mean.

    Args:
        curves: metric -> (step, value), steps ascending.
    """
    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure, panels = _figure(WIDTH, 0.4 + 2.8 * rows, rows, columns, sharex=True)
    for axes in panels.flat[len(curves) :]:
        axes.remove()
    for axes, (metric, points) in zip(panels.flat, curves.items(), strict=False):
        steps, values = np.array(points, np.float64).T
        axes.plot(steps, values, color=PALETTE[0], alpha=0.3, linewidth=1)
        axes.plot(steps, _moving_mean(values), color=PALETTE[0], linewidth=1.8)
        axes.set_title(titled(metric) + _unit(metric), loc="left")
        if metric == "gradient_norm":
            axes.set_yscale("log")  # its first steps are tens of times what follows
        axes.grid(axis="y", color=PALE)
        axes.set_xlabel("optimizer step")
        axes.tick_params(labelbottom=True)
    return figure


def reliability_plot(reliabilities: dict[str, Reliability]) -> "Figure":
    """Side by side: the observed rate of each bin over its mean probability, and the bins' weights beneath.

    Axes are the same for all, logarithmic where probabilities are small; a bin in which nothing happened then stands
    on the lower edge.

    Args:
        reliabilities: such as before and after a correction, by the name that its panel gets.
    """
    count = len(reliabilities)
    width = WIDTH * min(count, 2) / 2
    figure, panels = _figure(width, 6, 2, count, sharex=True, sharey="row", height_ratios=(5, 1))
    values = np.concatenate([[*found.predicted, *found.observed] for found in reliabilities.values()])
    small = min(min(found.predicted) for found in reliabilities.values()) < SMALL
    low, high = (values[values > 0].min() / 1.5 if small else 0.0), values.max() * (1.5 if small else 1.05)
    heaviest = max(max(found.weight) for found in reliabilities.values())
    for (above, beneath), (name, found) in zip(panels.T, reliabilities.items(), strict=True):
        if small:
            above.set(xscale="log", yscale="log")
        above.set(xlim=(low, high), ylim=(low, high))
        _reliability(above, found, low)
        above.set_title(name, loc="left")
        beneath.vlines(found.predicted, 0, found.weight, color=PALETTE[0], linewidth=4)
        beneath.set(xlabel="mean predicted probability", ylim=(0, 1.1 * heaviest))
    panels[0, 0].set_ylabel("observed rate")
    panels[1, 0].set_ylabel("weight")
    return figure


def by_group(figures: dict[str, Figures], metric: str) -> "Figure":
    """Each contender's mean and 95 % interval over all users, on top, and over each group.

    Raises:
        ValueError: if the metric has no intervals by group.
    """
    groups = in_order(list(next(iter(figures.values())).groups))
    told = {who: [_overall(each), *(each.groups[group] for group in groups)] for who, each in figures.items()}
    if not all(metric in row["intervals"] for rows in told.values() for row in rows):
        raise ValueError(f"{metric} has no intervals of every group")
    attributes = ["", *(group.partition("=")[0] for group in groups)]
    # half a row of space where the attribute changes
    places = np.arange(len(attributes)) + 0.5 * np.cumsum([0, *(a != b for a, b in pairwise(attributes))])
    figure, ((axes,),) = _figure(WIDTH, 1.2 + 0.1 * (2 + len(figures)) * (places[-1] + 1), 1, 1)
    for number, (who, rows) in enumerate(told.items()):
        means = np.array([row["means"][metric] for row in rows])
        bounds = np.array([row["intervals"][metric] for row in rows])
        shifted = places + STEP * (number - (len(figures) - 1) / 2)
        mark = {"marker": MARKERS[number], "markersize": 5, "color": PALETTE[number], "linestyle": "none"}
        axes.errorbar(means, shifted, xerr=np.abs(bounds.T - means), label=who, elinewidth=1.5, **mark)
    users = next(iter(told.values()))
    named = ["all", *(group.replace("=", " ") for group in groups)]
    axes.set_yticks(places, [f"{name} ({row['users']:,} users)" for name, row in zip(named, users, strict=True)])
    axes.set(ylim=(places[-1] + 0.6, -0.6), xlabel=f"{titled(metric)}{_unit(metric)}, mean and 95 % interval")
    axes.grid(axis="x", color=PALE)
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper left", ncols=len(figures), frameon=False)
    return figure


def _reliability(axes: "Axes", found: Reliability, low: float) -> None:
    """The diagonal and the bins; those with nothing observed at ``low`` where that is above 0."""
    predicted, observed = np.array(found.predicted), np.array(found.observed)
    axes.plot(axes.get_xlim(), axes.get_xlim(), color=GREY, linewidth=1, linestyle="--", label="as often as foretold")
    drawn = (observed > 0) | (low == 0)
    label = f"ECE {found.ece:.3g}, predicted / observed {found.ratio:.3g}"
    axes.plot(predicted[drawn], observed[drawn], color=PALETTE[0], marker="o", markersize=5, label=label)
    if not drawn.all():
        mark = {"marker": "v", "markerfacecolor": "white", "color": PALETTE[0], "linestyle": "none"}
        axes.plot(predicted[~drawn], np.full((~drawn).sum(), low), clip_on=False, label="nothing observed", **mark)
    axes.legend(frameon=False)


def _unit(metric: str) -> str:
    return " (nats)" if metric.endswith("loss") else " (money)" if metric.startswith("revenue") else ""


def _overall(figures: Figures) -> dict:
    """As one of its own groups."""
    return {"users": figures.users, "means": figures.means, "intervals": figures.intervals}


def _moving_mean(values: np.ndarray) -> np.ndarray:
    """Of each value and its neighbours, fewer of these towards the ends, as many on one side as on the other."""
    reach = np.minimum(len(values) // SMOOTH, np.minimum(np.arange(len(values)), np.arange(len(values))[::-1]))
    sums, places = np.concatenate([[0], np.cumsum(values)]), np.arange(len(values))
    return (sums[places + reach + 1] - sums[places - reach]) / (2 * reach + 1)


def _figure(width: float, height: float, rows: int, columns: int, **shared) -> tuple["Figure", np.ndarray]:
    """A figure of that many inches and its axes[rows, columns], without a box."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)
    panels = figure.subplots(rows, columns, squeeze=False, **shared)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
    return figure, panels
