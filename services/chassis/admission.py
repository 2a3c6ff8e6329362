"""How many requests may hold pictures in memory at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from imagetext.errors import Busy


class Admission:
    """Counts the requests between reading a body and answering; one too many is Busy before anything is read."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.inside = 0

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Raises Busy when `limit` requests are inside."""
        if self.inside >= self.limit:
            raise Busy("Too many requests are being worked on.")
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1
