"""What fewer bits cost: language model and item vectors of a trained export in float32, bfloat16 and int8."""

from datetime import date
from pathlib import Path

from benchmarks import Goal, Result

NEEDS, TAKES = ("export", "lake", "day"), ("backbone",)

SHARE = 0.26  # of the bytes: a quarter, and a scale a row
KEPT = 0.99  # of NDCG@10


def run(quick: bool, export: Path, lake: str, day: date, backbone: str | None = None) -> Result:
    """``quick`` takes a few items and users: it shows that it runs.

    Args:
        export: of a trained model.
        lake: with its night, ``day``.
        backbone: the folder that its language model was made of; None is the one that is installed with us.

    Raises:
        ValueError: if there is no export, its language model is no such backbone, or the lake lacks the night.
    """
    if not (export / "manifest.json").is_file():
        raise ValueError(f"{export} holds no export (manifest.json and what belongs to it): train a model first")
    from benchmarks.compression import models, night, vectors  # torch takes seconds that the list needn't wait

    asked = night.load(lake, day, quick)
    found = models.compare(export, asked, backbone, quick)
    beside = vectors.compare(export, asked, quick)
    goals = {}
    for what, figures, size, whole, small in (
        ("language model", found, "text_mb", "float32", "int8 weights"),
        ("vectors", beside, "bytes_per_item", "float32", "int8"),
    ):
        share = figures[small][size] / figures[whole][size]
        kept = figures[small]["ndcg@10"] / max(figures[whole]["ndcg@10"], 1e-9)
        goals[f"{what} in int8, share of the bytes"] = Goal(SHARE, round(share, 3))
        goals[f"{what} in int8, share of NDCG@10"] = Goal(KEPT, round(kept, 4), least=True)
    sizes = {"users": len(asked.held_out.users), "items": len(asked.night.item_ids)}
    return Result(goals, {**sizes, "language_model": found, "vectors": beside}, _table(found, beside))


def _table(models: dict[str, dict], vectors: dict[str, dict]) -> list[list[str]]:
    rows = [["", "size", "speed", "top 10 kept", "NDCG@10", "recall@10"]]
    for name, figures in models.items():
        size, speed = f"{figures['text_mb']:.1f} MB", f"{figures['texts_per_second']:.0f} texts/s"
        rows.append([f"language model, {name}", size, speed, *_accuracy(figures)])
    for name, figures in vectors.items():
        size, speed = f"{figures['bytes_per_item']:.0f} B/item", f"{figures['pairs_per_second'] / 1e6:.0f} M pairs/s"
        rows.append([f"vectors, {name}", size, speed, *_accuracy(figures)])
    return rows


def _accuracy(figures: dict) -> list[str]:
    return [f"{figures['kept']:.1%}", f"{figures['ndcg@10']:.4f}", f"{figures['recall@10']:.4f}"]
