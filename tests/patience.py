"""How long tests wait for what must come. None depends on how fast the machine is, or on what else runs on it."""

import asyncio
import time
from collections.abc import Awaitable, Callable

PATIENCE = 300.0  # seconds: guards against waiting for ever, and is no limit that any work has to keep
BROWSER_MS = 120_000  # the same for each step of a browser
TURNS = 50  # of an event loop: more than anything needs that waits for nothing outside it


def wait_until(condition: Callable[[], object], complaint: Callable[[], str] = lambda: "it never came to that") -> None:
    """Until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, complaint()
        time.sleep(0.01)


async def until(condition: Callable[[], Awaitable[object] | object]) -> None:
    """Until the condition holds, which may be a coroutine's."""
    async with asyncio.timeout(PATIENCE):
        while True:
            met = condition()
            if await met if isinstance(met, Awaitable) else met:
                return
            await asyncio.sleep(0.01)


async def settle() -> None:
    """Whatever goes on without the world outside goes as far as it can."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
