"""Champion and judge:

python -m training champion                                            its version, or none
python -m training judge --recipe R --day D --lake URI                 judge the run that training.finetune made
"""

import argparse
import logging
import sys
from datetime import date

from training import tracking


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training", description="The champion, and who is to be it.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("champion", help="print the champion's version, or none")
    judge = commands.add_parser("judge", help="compare the day's model with the champion and with popularity")
    judge.add_argument("--recipe", required=True)
    judge.add_argument("--day", required=True, type=date.fromisoformat)
    judge.add_argument("--lake", required=True, help="path or URI of the lake")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    try:
        if chosen.command == "champion":
            version = tracking.champion(tracking.connect())
            print(version.version if version else "none")
        else:
            _judge(chosen.recipe, chosen.day, chosen.lake)
    except (ValueError, ConnectionError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _judge(name: str, day: date, lake: str) -> None:
    from training.data import load
    from training.judge import judge  # torch takes seconds that the champion command needn't wait
    from training.recipes import recipe

    decision = judge(tracking.connect(), recipe(name), load(lake, day), lake)
    for who, figures in decision.figures.items():
        means = f"NDCG@10 {figures.means['ndcg_at_10']:.4f}  Recall@10 {figures.means['recall_at_10']:.4f}"
        print(f"{who:13} {means}  {figures.users} users")
    verb = "is champion now" if decision.promoted else "does not become champion"
    print(f"version {decision.candidate_version} {verb}: {decision.reason}")


if __name__ == "__main__":
    sys.exit(main())
