"""One build at a time for each index."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from imagetext.files import locked
from imagetext.index.versions import BUILD_LOCK
from imagetext.wire.errors import Busy

_WAIT_S = 1.0  # a reader of the progress holds the lock for a moment, to see whether it is free


@contextmanager
def build_lock(index: Path) -> Iterator[None]:
    """Hold the index for the time of a build; the system lets go of it even when the process is killed.

    Raises:
        Busy: another build holds it.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(index / BUILD_LOCK, wait=_WAIT_S))
        except BlockingIOError as error:
            raise Busy("Another build is running on this index; wait for its end.") from error
        yield
