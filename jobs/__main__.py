"""The only command line of the Spark half.

python -m jobs NAME... --day D --lake URI     make tables for one night
python -m jobs check NAME... --day D --lake URI --run-id R     is that run's commit there?
python -m jobs page --day D --lake URI        what the night made, for people
python -m jobs explain --user U --day D --lake URI     why that shopper's lists are what they are
python -m jobs upkeep --day D --lake URI      drop what is past its retention, join small files, delete old ones
python -m jobs erase --user U... --lake URI   remove people, keep them out, and prove it; 3 if the lake didn't know one
"""

import argparse
import logging
import os
import sys
from datetime import date

log = logging.getLogger("jobs")


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m jobs", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    env = os.environ.get
    parser.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="tables to make, in order; or check NAME..., page, explain, upkeep, erase",
    )
    parser.add_argument("--day", type=_day, help="the night: data up to and including this day is used")
    parser.add_argument("--lake", default=env("NIGHT_LAKE", "var/lake"), help="folder or bucket of the Delta tables")
    parser.add_argument("--source", default=env("NIGHT_SOURCE", "complete_journey"), help="a module of jobs/sources")
    parser.add_argument("--data", default=env("NIGHT_DATA", ""), help="where the source lies; empty for its own place")
    parser.add_argument("--model-version", default=None, help="MLflow model version that makes the lists")
    parser.add_argument("--sentiment-version", default=None, help="MLflow model version that reads the reviews")
    parser.add_argument(
        "--user",
        action="append",
        default=[],
        help="explain: a pseudonym of profiles.users; erase: the shop's own id, also several times",
    )
    parser.add_argument("--run-id", default="by-hand", help="signs the commits; check looks for it")
    given = parser.parse_args(words)
    if given.day is None and given.names[0] != "erase":
        parser.error("the following arguments are required: --day")
    return given


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day like 2017-12-31") from error


def main(words: list[str] | None = None) -> int:
    """Runs one command: 0 if it did what it should, 2 for input that no retry mends, 1 for what may pass."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    for chatty in ("py4j", "great_expectations", "mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    given = arguments(words)
    try:
        return _run(given)
    # what people can act on is said in one line; anything else keeps its traceback
    except ValueError as error:
        log.error("%s", error)
        return 2
    except OSError as error:
        log.error("%s", error)
        return 1


def _run(given: argparse.Namespace) -> int:
    first, *others = given.names
    if first == "erase":
        return _erase(given)
    if first == "upkeep":
        from jobs.insight.pages import expired
        from jobs.upkeep import lines, upkeep

        print("\n".join(lines(upkeep(given.day, given.lake))))
        print(f"{len(expired(given.day))} pages past retention")
        return 0
    from jobs.night import Night
    from jobs.privacy import Privacy

    if first == "page":
        from jobs.insight.page import show

        show(given.lake, given.day)
        return 0
    if first == "explain":
        return _explain(given)
    docs = os.environ.get("NIGHT_DOCS", Night.docs)
    versions = given.model_version, given.sentiment_version
    shared = given.day, given.lake, given.run_id, given.source, given.data
    night = Night(*shared, *versions, docs, Privacy.of(os.environ))
    if first == "check":
        return _check(others, night)
    from jobs.runner import run  # and with it Great Expectations: seconds, which the check needn't pay

    run(given.names, night)
    return 0


def _explain(given: argparse.Namespace) -> int:
    if len(given.user) != 1:
        raise ValueError("explain needs one --user: a user_id of profiles.users")
    from jobs.explain import explain, lines
    from jobs.lake import Lake, session

    for explained in explain(Lake(session(), given.lake), given.user[0], given.day):
        print("\n".join(lines(explained)))
    return 0


def _erase(given: argparse.Namespace) -> int:
    if not given.user:
        raise ValueError("erase needs --user: the shop's own id of a person, not a pseudonym")
    from jobs.erase import UNKNOWN, erase, lines

    done = erase(given.user, given.lake)
    print("\n".join(lines(done)))
    return 1 if done.left else UNKNOWN if done.unknown else 0


def _check(names: list[str], night) -> int:
    import schemas
    from jobs.lake import signed
    from jobs.night import lacking

    absent = [
        name
        for name in names
        if not lacking(name, night) and not signed(night.lake, schemas.table(name), night.day, night.run_id)
    ]
    for name in absent:
        log.error("%s: no commit of run %s for night %s in %s", name, night.run_id, night.day, night.lake)
    return 1 if absent else 0


if __name__ == "__main__":
    sys.exit(main())
