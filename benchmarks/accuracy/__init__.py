"""How well lists foresee what people take next: our model beside its peers, all items ranked."""

from pathlib import Path

from benchmarks import Goal, Result

DATASETS = ("beauty", "sports", "journey")
AMAZON = Path(__file__).parents[3] / "shared/data/amazon"

# Recall@10 and NDCG@10, masked, in the file's order: clearly above the best published row of this protocol
LEAST = {"beauty": (0.0960, 0.0580), "sports": (0.0590, 0.0335)}
OURS, OURS_GPU = "ours", "ours, GPU, whole language model"
RIVAL, RIVAL_GPU = "eSASRec", "eSASRec, GPU, full schedule"
TAKES = ("gpu",)
METRICS = ("recall@5", "recall@10", "ndcg@5", "ndcg@10")


AHEAD = 1.10  # over the best peer, on the Complete Journey


def run(quick: bool, dataset: str, gpu: bool = False) -> Result:
    """``quick`` takes a few users or one week, and hardly trains: it shows that all contenders run, nothing else.

    ``gpu`` leaves out what trains on the CPU.

    Raises:
        ValueError: ``gpu`` is asked for where there is none, or of journey, where nothing trains on it.
    """
    if dataset == "journey" and gpu:
        raise ValueError("--gpu: nothing of journey trains on a GPU")
    if dataset == "journey":
        return _journey(quick)
    from benchmarks.accuracy import (  # torch takes seconds that the list of benchmarks needn't wait
        amazon,
        leave_one_out,
    )

    data = amazon.load(AMAZON, dataset)
    found = leave_one_out.compare(data.first(leave_one_out.QUICK_USERS) if quick else data, quick, gpu=gpu)
    return Result(goals(found, dataset), found, _table(found))


def goals(found: dict, dataset: str) -> dict[str, Goal]:
    """Of the figures by model: on the CPU, on the GPU, or both."""
    (recall, ndcg), told = LEAST[dataset], {}
    rivals = ((OURS, RIVAL, "", "in the same time"), (OURS_GPU, RIVAL_GPU, " on the GPU", "for its full schedule"))
    for ours, rival, where, how in rivals:
        if ours not in found:
            continue
        reached, beside = found[ours]["masked"]["raw"], found[rival]["masked"]["raw"]
        ahead = round(reached["ndcg@10"] / max(beside["ndcg@10"], 1e-9), 3)
        told |= {
            f"recall@10, masked{where}": Goal(recall, round(reached["recall@10"], 4), least=True),
            f"ndcg@10, masked{where}": Goal(ndcg, round(reached["ndcg@10"], 4), least=True),
            f"ndcg@10 over {RIVAL}'s{where} {how}": Goal(1.0, ahead, least=True),
        }
    return told


def _journey(quick: bool) -> Result:
    from benchmarks.accuracy import journey, rolling

    lake = journey.prepare()
    found, leads = rolling.compare(journey.load(lake), lake, quick)
    goals = {}
    for protocol, metrics in leads.items():
        for metric, lead in metrics.items():
            title = f"{metric}, {protocol}, over {lead['peer']}"
            goals[title] = Goal(AHEAD, round(lead["ratio"], 3), least=True)
            goals[f"{title}: lower bound of the difference"] = Goal(0.0, round(lead["lower"], 5), least=True)
    return Result(goals, {"models": found, "leads": leads}, _table(found))


def _table(found: dict) -> list[list[str]]:
    rows = [["model, protocol, order", *METRICS, "seconds", "peak GiB"]]
    for model, protocols in found.items():
        for protocol, orders in protocols.items():
            for order, figures in orders.items():
                cells = [
                    *(f"{figures[name]:.4f}" for name in METRICS),
                    f"{figures['seconds']:.0f}",
                    f"{figures['peak_gib']:.1f}",
                ]
                rows.append([f"{model}, {protocol}, {order}", *cells])
    return rows
