"""Work that goes on beside the requests."""

import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

Step = Callable[[], Awaitable[None]]
log = logging.getLogger(__name__)


async def repeat(step: Step, pause: Step) -> NoReturn:
    """Takes `step` again and again with a `pause` after each; an error is logged and ends nothing."""
    while True:
        try:
            await step()
        except Exception:
            log.exception("background work failed and goes on")
        await pause()
