"""Stops work whose client has gone."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from imagetext.wire.errors import ImageTextError

Result = TypeVar("Result")


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which is cancelled if the client disconnects first.

    The request's body must have been read: what is left of it is dropped.

    Raises:
        ClientDisconnect: the client has gone.
        Exception: whatever `work` raises.
    """
    watch = _Watch(request)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.is_only_cause():
            raise ClientDisconnect from None
        raise
    finally:
        watch.end()


class _Watch:
    """Cancels the current task when the client disconnects, as `asyncio.timeout` does when the time is up."""

    def __init__(self, request: Request) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelled = False
        self._ended = False
        self._watcher = asyncio.create_task(self._until_gone(request))

    def is_only_cause(self) -> bool:
        """Whether nobody else has cancelled the task."""
        return self._cancelled and self._task.cancelling() == 1

    def end(self) -> None:
        self._ended = True
        self._watcher.cancel()
        if self._cancelled:
            self._task.uncancel()

    async def _until_gone(self, request: Request) -> None:
        # A body that exceeds a limit only now counts as gone; BodyLimitMiddleware answers it.
        with suppress(ImageTextError):
            while (await request.receive())["type"] != "http.disconnect":
                pass
        if not self._ended:
            self._cancelled = True
            self._task.cancel()
