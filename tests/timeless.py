"""Time that passes only while nothing can be done: how fast the machine is makes no difference to a deadline.

For tests whose world is all on one event loop, without sockets and threads.
"""

import asyncio
import selectors

import pytest

timeless = pytest.mark.asyncio(loop_factories=["timeless"])


class _Idle(selectors.DefaultSelector):
    """Where a loop would wait until something is due, its clock goes there at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready:
            self.now += max(timeout, 0)
        return ready


class TimelessLoop(asyncio.SelectorEventLoop):
    """Sleeps are over as soon as nothing else is left to do, in the order of their lengths."""

    def __init__(self) -> None:
        self._idle = _Idle()
        super().__init__(self._idle)

    def time(self) -> float:
        return self._idle.now


def loop_factories(item: pytest.Item) -> dict[str, type[asyncio.AbstractEventLoop]]:
    """For pytest-asyncio's hook: tests that are marked get this loop, the others the usual one."""
    marker = item.get_closest_marker("asyncio")
    is_marked = marker is not None and "loop_factories" in marker.kwargs
    return {"timeless": TimelessLoop} if is_marked else {"usual": asyncio.SelectorEventLoop}
