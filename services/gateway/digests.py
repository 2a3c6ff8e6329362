"""Names of pictures by their content."""

import asyncio
from collections.abc import Sequence

from services.gateway.keys import digest_of

_AT_ONCE_BYTES = 256 * 1024  # are hashed before another thread would have begun to


async def digests_of(pictures: Sequence[bytes]) -> list[str]:
    """The digest of each picture; of much the event loop is kept free."""
    if sum(map(len, pictures)) <= _AT_ONCE_BYTES:
        return _digests(pictures)
    return await asyncio.to_thread(_digests, pictures)


def _digests(pictures: Sequence[bytes]) -> list[str]:
    return [digest_of(picture) for picture in pictures]
