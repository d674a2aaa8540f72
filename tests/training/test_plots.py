"""What the figures show: the lines' data, the labels, and which axes are logarithmic."""

import io
import subprocess
import sys

import numpy as np
import pytest

from training.calibration import reliability
from training.held_out import Figures
from training.plots import by_group, in_order, learning_curves, reliability_plot, titled

ONES = np.ones(4)


def figures(overall: float, **groups: float) -> Figures:
    """Intervals reach 0.1 below the mean and 0.2 above it."""

    def told(mean: float) -> dict:
        return {"users": 1200, "means": {"ndcg_at_10": mean}, "intervals": {"ndcg_at_10": (mean - 0.1, mean + 0.2)}}

    return Figures(**told(overall), groups={name.replace("_", "="): told(mean) for name, mean in groups.items()})


def drawn(axes) -> list[tuple[list[float], list[float]]]:
    return [tuple(np.asarray(each, float).tolist() for each in line.get_data()) for line in axes.lines]


def legend(panel) -> list[str]:
    return [text.get_text() for text in panel.get_legend().get_texts()]


def test_a_curve_is_drawn_as_it_is_and_as_its_moving_mean():
    values = [float(step % 2) for step in range(80)]
    figure = learning_curves({"purchase_loss": list(zip(range(100, 180), values, strict=True)), "f1_at_5": [(0, 3.0)]})
    loss, single = figure.axes
    (steps, raw), (again, smooth) = drawn(loss)
    assert steps == again == list(range(100, 180))
    assert raw == values
    # 80 points: two on either side, at the ends one and none
    assert smooth == pytest.approx([0, 1 / 3, *([2 / 5, 3 / 5] * 38), 2 / 3, 1])
    assert (loss.get_title("left"), loss.get_xlabel()) == ("Purchase loss (nats)", "optimizer step")
    assert drawn(single) == [([0], [3]), ([0], [3])]
    assert single.get_title("left") == "F1@5"


def test_a_panel_for_each_metric_and_none_beside():
    curves = {name: [(0, 1.0), (1, 2.0)] for name in ("loss", "gradient_norm", "learning_rate", "step_seconds")}
    panels = learning_curves(curves).axes
    assert [axes.get_title("left") for axes in panels] == [
        "Loss (nats)", "Gradient norm", "Learning rate", "Step seconds",
    ]  # fmt: skip
    assert [axes.get_yscale() for axes in panels] == ["linear", "log", "linear", "linear"]


def test_calibration_of_small_probabilities_is_drawn_on_logarithmic_axes():
    before = reliability(np.array([0.001, 0.001, 0.02, 0.02]), np.array([0, 0, 1, 0]), ONES)
    after = reliability(np.array([0.1, 0.1, 0.3, 0.3]), np.array([0, 1, 0, 1]), np.array([3, 1, 1, 1]))
    left, right, beneath_left, beneath_right = reliability_plot({"before": before, "after": after}).axes
    low, high = 0.001 / 1.5, 0.5 * 1.5
    diagonal, bins, empty = drawn(left)
    assert diagonal[0] == diagonal[1] == pytest.approx([low, high])
    assert bins == ([0.02], [0.5])
    assert empty == ([0.001], pytest.approx([low]))  # on the edge: a logarithmic axis has no 0
    assert (left.get_title("left"), left.get_xscale(), left.get_yscale()) == ("before", "log", "log")
    assert left.get_ylim() == right.get_xlim() == pytest.approx((low, high))
    assert legend(left) == ["as often as foretold", "ECE 0.24, predicted / observed 0.042", "nothing observed"]
    assert drawn(right)[1:] == [(pytest.approx([0.1, 0.3]), pytest.approx([0.25, 0.5]))]
    assert legend(right) == ["as often as foretold", f"ECE {after.ece:.3g}, predicted / observed {after.ratio:.3g}"]
    (stems,) = beneath_right.collections
    assert [stem.tolist() for stem in stems.get_segments()] == [
        [[pytest.approx(0.1), 0], [pytest.approx(0.1), pytest.approx(2 / 3)]],
        [[pytest.approx(0.3), 0], [pytest.approx(0.3), pytest.approx(1 / 3)]],
    ]
    assert beneath_left.get_xlabel() == "mean predicted probability"
    assert (left.get_ylabel(), beneath_left.get_ylabel()) == ("observed rate", "weight")


def test_calibration_of_large_probabilities_is_drawn_on_linear_axes():
    found = reliability(np.array([0.2, 0.2, 0.8, 0.8]), np.array([0, 0, 1, 1]), ONES)
    above, _ = reliability_plot({"now": found}).axes
    assert drawn(above) == [(pytest.approx([0, 1.05]), pytest.approx([0, 1.05])), ([0.2, 0.8], [0.0, 1.0])]
    assert (above.get_xscale(), above.get_ylim()) == ("linear", pytest.approx((0, 1.05)))


def test_groups_stand_under_all_users_each_contender_beside_the_others():
    figure = by_group(
        {
            "candidate": figures(0.5, segment_loyal=0.6, segment_new=0.3, age_25=0.4),
            "popularity": figures(0.2, segment_loyal=0.25, segment_new=0.15, age_25=0.3),
        },
        "ndcg_at_10",
    )
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "all (1,200 users)", "segment new (1,200 users)", "segment loyal (1,200 users)", "age 25 (1,200 users)",
    ]  # fmt: skip
    places = np.array([0, 1.5, 2.5, 4])  # half a row apart where the attribute changes
    assert axes.get_yticks().tolist() == places.tolist()
    assert axes.get_ylim() == pytest.approx((4.6, -0.6))  # the first on top
    candidate, popularity = drawn(axes)
    assert candidate == ([0.5, 0.3, 0.6, 0.4], pytest.approx(places - 0.085))
    assert popularity == ([0.2, 0.15, 0.25, 0.3], pytest.approx(places + 0.085))
    ends = [segment[:, 0].tolist() for segment in axes.collections[0].get_segments()]
    assert ends == [pytest.approx([mean - 0.1, mean + 0.2]) for mean in (0.5, 0.3, 0.6, 0.4)]
    assert axes.get_xlabel() == "NDCG@10, mean and 95 % interval"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["candidate", "popularity"]


def test_a_metric_without_intervals_by_group_is_refused():
    found = figures(0.5, segment_new=0.3)
    found.intervals["mrr_at_10"] = (0.1, 0.2)
    for metric in ("coverage_at_10", "mrr_at_10"):
        with pytest.raises(ValueError, match=f"{metric} has no intervals of every group"):
            by_group({"candidate": found}, metric)


def test_groups_ascend_and_attributes_stay_as_they_come():
    assert in_order(["segment=loyal", "segment=new", "income=100-124K", "income=15-24K", "income=Under 15K"]) == [
        "segment=new", "segment=loyal", "income=Under 15K", "income=15-24K", "income=100-124K",
    ]  # fmt: skip


def test_names_as_people_write_them():
    metrics = ("ndcg_at_10", "mrr_at_5", "recall_at_20", "next_item_loss")
    assert [titled(name) for name in metrics] == ["NDCG@10", "MRR@5", "Recall@20", "Next item loss"]


def test_a_figure_is_1200_pixels_wide_and_unknown_to_pyplot():
    saved = io.BytesIO()
    by_group({"candidate": figures(0.5, segment_new=0.3)}, "ndcg_at_10").savefig(saved, format="png")
    assert int.from_bytes(saved.getvalue()[16:20], "big") == 1200
    code = """
import sys
from training.plots import learning_curves
early = "matplotlib" in sys.modules
learning_curves({"loss": [(0, 1.0)]})
sys.exit(early or "matplotlib.pyplot" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
