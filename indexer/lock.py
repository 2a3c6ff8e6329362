"""One build at a time for each index."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagetext.index.build_progress import LOCK
from imagetext.wire.errors import Busy

_TRIES = 50  # a reader of the progress looks at the lock by holding it: for some microseconds where it is not delayed
_PAUSE_S = 0.02


@contextmanager
def build_lock(index: Path) -> Iterator[None]:
    """Hold the index for the time of a build; the system lets go of it even when the process is killed.

    Raises:
        Busy: another build holds it.
    """
    with (index / LOCK).open("ab") as file:
        for left in reversed(range(_TRIES)):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if not left:
                    raise Busy("Another build is running on this index; wait for its end.") from error
            time.sleep(_PAUSE_S)
        yield
