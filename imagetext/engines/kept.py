"""Files that one start keeps for the next, in a folder that the replicas of a service share."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4


def put(file: Path, write: Callable[[Path], object]) -> None:
    """Write a file elsewhere and then give it its name: nobody ever reads half of it. Raises OSError."""
    # No process id: that of the first process is the same in every container.
    unfinished = file.with_name(f"unfinished-{uuid4().hex}-{file.name}")
    try:
        write(unfinished)
        os.replace(unfinished, file)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process at a time has the folder: else replicas that start together measure each other, and export twice."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # on a file system without locks everybody does it for himself
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
