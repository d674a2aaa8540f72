"""One contender at a time takes a step, so that whatever else the machine does slows down all of them alike.

A baton goes round: each contender waits for a byte in a named pipe of its own, and after its step writes one into the
next contender's.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Ring:
    """The pipes of all contenders, one a folder, held open until everyone is through."""

    def __init__(self, folders: list[Path]):
        self.pipes = [folder / "baton" for folder in folders]
        for pipe in self.pipes:
            os.mkfifo(pipe)
        self._held = [os.open(pipe, os.O_RDWR) for pipe in self.pipes]

    def begin(self) -> None:
        """The first contender may start."""
        os.write(self._held[0], b".")

    def after(self, place: int) -> Path:
        """The pipe of the contender that comes after this one."""
        return self.pipes[(place + 1) % len(self.pipes)]

    def close(self) -> None:
        """Whoever waits for a turn still gets an EOFError, as when the benchmark was killed."""
        for pipe in self._held:
            os.close(pipe)


class Baton:
    """A contender's end: the pipe by which its turn comes, and the one by which it passes on."""

    def __init__(self, mine: Path, following: Path):
        self._mine = os.open(mine, os.O_RDONLY | os.O_NONBLOCK)  # opens even if nobody holds the ring any more
        os.set_blocking(self._mine, True)
        self._following = following

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for one's turn, and afterwards passes it on.

        Raises:
            EOFError: if none will come, for the benchmark is gone.
        """
        if not os.read(self._mine, 1):
            raise EOFError("the benchmark that gave out turns is gone")
        yield
        pipe = os.open(self._following, os.O_WRONLY | os.O_NONBLOCK)
        os.write(pipe, b".")
        os.close(pipe)
