"""One build at a time for each index."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagetext.errors import Busy

_LOCK = ".lock"


@contextmanager
def build_lock(index: Path) -> Iterator[None]:
    """Hold the index for the time of a build; the system lets go of it even when the process is killed.

    Raises:
        Busy: another build holds it.
    """
    with (index / _LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy("Another build is running on this index; wait for its end.") from error
        yield
