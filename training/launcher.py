"""The `deepspeed` launcher, as everything but a night's tasks starts it."""

import socket
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
