"""The `deepspeed` launcher, as everything but a night's tasks starts it."""

import signal
import socket
import subprocess
import sys
from pathlib import Path


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def command(ranks: int, module: str) -> list[str]:
    """A command line to which the module's own options are added.

    The launcher's default port would meet that of a night's training beside it, so it is told one that is free.
    """
    program = str(Path(sys.executable).with_name("deepspeed"))
    options = {"--num_accelerators": str(ranks), "--master_port": str(free_port())}
    return [program, *(word for option in options.items() for word in option), "--no_local_rank", "--module", module]


def run(module: str, ranks: int, **options: str) -> None:
    """Run a module under the deepspeed launcher; what it prints goes to stderr.

    Raises:
        ChildProcessError: if it fails.
    """
    told = [word for option, value in options.items() for word in (f"--{option}", value)]
    code = _supervised([*command(ranks, module), *told])
    if code:
        raise ChildProcessError(
            f"{module} of {options['day']} ended with code {code}, see its log above; "
            "the same command goes on from its last checkpoint"
        )


def _supervised(words: list[str]) -> int:
    """Its exit code. Whoever ends us ends it too: left alone it would train on, beside the one of the next call."""
    running: list[subprocess.Popen] = []
    told = []

    def end(*_) -> None:
        told.append(True)
        for each in running:
            each.terminate()

    usual = signal.signal(signal.SIGTERM, end)
    try:
        running.append(subprocess.Popen(words, stdout=2))
        if told:  # while it was being started
            end()
        return running[0].wait()
    finally:
        for each in running:
            each.terminate()
        signal.signal(signal.SIGTERM, usual)
