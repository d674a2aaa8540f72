"""Champion, judge and cross-validation:

python -m training champion [--model sentiment]                        its version, or none
python -m training sentiment --recipe R --day D --lake URI             train a model of what reviews say; 99 if too few
python -m training judge --recipe R --day D --lake URI                 judge the run that training.finetune made
python -m training validate --recipe R --day D --lake URI --folds N    train and judge R on each of the last N weeks
python -m training federated --recipe R --day D --lake URI --shards N  simulate federated training over N clients
"""

import argparse
import logging
import sys
from datetime import date

from training import launcher, tracking

SKIPPED = 99  # the exit code by which an Airflow task counts as skipped and not as failed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training", description="The champion, and who is to be it.")
    commands = parser.add_subparsers(dest="command", required=True)
    champion = commands.add_parser("champion", help="print the champion's version, or none")
    champion.add_argument("--model", default=tracking.MODEL, choices=(tracking.MODEL, tracking.SENTIMENT))
    judge = commands.add_parser("judge", help="compare the day's model with the champion and with popularity")
    validate = commands.add_parser("validate", help="train and judge a recipe on each of the last weeks up to the day")
    sentiment = commands.add_parser("sentiment", help="train the model that tells what reviews say of items")
    federated = commands.add_parser("federated", help="SIMULATE federated training, its clients being shards of users")
    for command in (judge, validate, sentiment, federated):
        command.add_argument("--recipe", required=True)
        command.add_argument("--day", required=True, type=date.fromisoformat)
        command.add_argument("--lake", required=True, help="path or URI of the lake")
    validate.add_argument("--folds", type=int, default=4, help="how many weeks")
    for command in (validate, sentiment):
        command.add_argument("--ranks", type=int, default=2, help="processes that train; -1 for one on each GPU")
    federated.add_argument("--shards", type=int, default=8, help="how many clients")
    federated.add_argument("--rounds", type=int, default=10)
    federated.add_argument("--local-steps", type=int, default=5, help="of a client in a round")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    try:
        if chosen.command == "champion":
            version = tracking.champion(tracking.connect(), chosen.model)
            print(version.version if version else "none")
        elif chosen.command == "judge":
            _judge(chosen.recipe, chosen.day, chosen.lake)
        elif chosen.command == "sentiment":
            return _sentiment(chosen.recipe, chosen.day, chosen.lake, chosen.ranks)
        elif chosen.command == "federated":
            _federated(chosen.recipe, chosen.day, chosen.lake, chosen.shards, chosen.rounds, chosen.local_steps)
        else:
            _validate(chosen.recipe, chosen.day, chosen.lake, chosen.folds, chosen.ranks)
    except (ValueError, ConnectionError, ChildProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _sentiment(name: str, day: date, lake: str, ranks: int) -> int:
    """0, or SKIPPED where the shop has too few reviews: then nothing was started."""
    from training.reviews import TooFewReviewsError, load_reviews

    try:
        load_reviews(lake, day)
    except TooFewReviewsError as error:
        print(f"skipped: {error}", file=sys.stderr)
        return SKIPPED
    launcher.run("training.sentiment", ranks, recipe=name, day=str(day), lake=lake)
    return 0


def _federated(name: str, day: date, lake: str, count: int, rounds: int, local_steps: int) -> None:
    from training import alone
    from training.data import load
    from training.federated import Federation, check
    from training.held_out import HeldOut
    from training.judge import TOP, baselines
    from training.public import public
    from training.recipes import recipe

    chosen = recipe(name)
    check(chosen)
    night = public(load(lake, day))
    held_out = HeldOut(night)
    objective = alone.started(chosen, night.training(), alone.encoded(chosen, night))
    federation = Federation(objective, night.training(), chosen, count=count, rounds=rounds, local_steps=local_steps)
    print(f"a SIMULATION: one process plays the server and {count} clients in turn")
    for number, told in enumerate(federation.run(), 1):
        cost = f"{told.sent:,} bytes sent by each client, masks took {told.masking_seconds:.2f} s"
        print(f"round {number} of {rounds}: loss {told.loss:.4f}, {cost}", flush=True)
    lists = {"federated": alone.tops(objective, chosen, night, held_out.users, TOP)}
    lists |= baselines(night, held_out.users)
    _tell({who: held_out.figures(tops) for who, tops in lists.items()})


def _judge(name: str, day: date, lake: str) -> None:
    from training.data import load
    from training.judge import judge  # torch takes seconds that the champion command needn't wait
    from training.recipes import recipe

    decision = judge(tracking.connect(), recipe(name), load(lake, day), lake)
    _tell(decision.figures)
    verb = "is champion now" if decision.promoted else "does not become champion"
    print(f"version {decision.candidate_version} {verb}: {decision.reason}")


def _tell(contenders: dict) -> None:
    for who, figures in contenders.items():
        means = f"NDCG@10 {figures.means['ndcg_at_10']:.4f}  Recall@10 {figures.means['recall_at_10']:.4f}"
        print(f"{who:13} {means}  {figures.users} users", flush=True)


def _validate(name: str, day: date, lake: str, count: int, ranks: int) -> None:
    from training.validate import record, spread, validate

    client, folds = tracking.connect(), []
    for fold in validate(name, day, lake, count, ranks):
        folds.append(fold)
        print(f"fold {len(folds)} of {count}, the week up to {fold.day}")
        _tell(fold.figures)
    over = spread(folds)
    print(f"mean of {count} folds, with the standard deviation between them")
    for who, means in over["mean"].items():
        ndcg, recall = (f"{means[name]:.4f} ± {over['std'][who][name]:.4f}" for name in ("ndcg_at_10", "recall_at_10"))
        print(f"{who:13} NDCG@10 {ndcg}  Recall@10 {recall}")
    print(f"run {record(client, name, day, lake, folds)}")


if __name__ == "__main__":
    sys.exit(main())
