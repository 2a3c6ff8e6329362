"""Work whose client has gone is stopped."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from imagetext.wire.errors import ImageTextError

T = TypeVar("T")


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled if the client goes first; then raises ClientDisconnect.

    The request's body must have been read: what is left of it is dropped.
    """
    watch = _Watch(request)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.has_cancelled_alone():
            raise ClientDisconnect from None
        raise
    finally:
        watch.end()


class _Watch:
    """Cancels the task that began it when the client goes, as `asyncio.timeout` does when the time is up."""

    def __init__(self, request: Request) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelled = False
        self._ended = False
        self._watcher = asyncio.create_task(self._until_gone(request))

    def has_cancelled_alone(self) -> bool:
        """Whether the client's going is the only reason that the task is being cancelled."""
        return self._cancelled and self._task.cancelling() == 1

    def end(self) -> None:
        self._ended = True
        self._watcher.cancel()
        if self._cancelled:
            self._task.uncancel()

    async def _until_gone(self, request: Request) -> None:
        # A body that goes over a limit only now is as good as gone; the limit's own middleware answers it.
        with suppress(ImageTextError):
            while (await request.receive())["type"] != "http.disconnect":
                pass
        if not self._ended:
            self._cancelled = True
            self._task.cancel()
