"""Answers leave in one piece: uvicorn writes head and body apart, and each write is a system call.

For an answer that comes from the cache those two calls were a third of all the gateway did.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class OneWrite(HttpToolsProtocol):
    """uvicorn's protocol on a `JoiningTransport`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(JoiningTransport(transport, asyncio.get_running_loop()))  # type: ignore[arg-type]


class JoiningTransport:
    """Keeps what is written until more comes, or until the event loop's next turn; all else is the transport's own."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._kept: bytes | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._kept is not None:
            kept, self._kept = self._kept, None
            self._transport.writelines([kept, data])
        else:
            self._kept = data
            self._loop.call_soon(self._flush)

    def writelines(self, parts: Iterable[bytes]) -> None:
        self._flush()
        self._transport.writelines(parts)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._kept is not None:
            kept, self._kept = self._kept, None
            if not self._transport.is_closing():
                self._transport.write(kept)
