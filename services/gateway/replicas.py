"""The replicas of one service, and which of them gets the next request."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import httpx

from imagetext.wire.addresses import Resolve
from imagetext.wire.errors import Unavailable

_RESOLVE_PATIENCE_S = 5.0
_REST_S = 5.0
_PORTS = {"http": 80, "https": 443}
_ADDRESSES = 128  # of one replica that are remembered

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Replica:
    """One process behind a service's name: `base` with an IP address in place of the name."""

    base: httpx.URL
    address: str
    outstanding: int = 0
    rests_until: float = 0.0

    def __post_init__(self) -> None:
        self.host = self.base.netloc.decode("ascii")  # with the port, as a request names it
        self.server_name = self.base.raw_host.decode("ascii")
        # To put an address together takes longer than to ask a whole memory of them.
        self.at = lru_cache(_ADDRESSES)(self._at)

    @property
    def url(self) -> httpx.URL:
        return self.base.copy_with(host=self.address)

    def _at(self, path: str) -> httpx.URL:
        """The address of a path, which may have a query behind it and is quoted already."""
        return self.url.copy_with(raw_path=path.encode("ascii"))

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Counts one request as outstanding."""
        self.outstanding += 1
        try:
            yield
        finally:
            self.outstanding -= 1


class Replicas:
    """Spreads requests over all addresses of all base addresses.

    A container runtime gives all replicas of a service one name. Connections that are kept alive would stay with
    the replica they found first, so the name is resolved here, again and again (whoever owns this calls `refresh`
    every few seconds), and the replica with the fewest outstanding requests is chosen.
    """

    def __init__(
        self,
        name: str,
        bases: Sequence[str],
        *,
        resolve: Resolve,
        rest_s: float = _REST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._bases = [httpx.URL(base) for base in bases]
        self._resolve = resolve
        self._rest_s = rest_s
        self._clock = clock
        self._replicas: dict[tuple[httpx.URL, str], Replica] = {}
        self._unknown: set[httpx.URL] = set()

    async def choose(self, but: Replica | None = None) -> Replica:
        """The least busy replica; `but`, and those that rest, only when there is no other. Raises Unavailable."""
        if not self._replicas:
            await self.refresh()
        if not self._replicas:
            raise Unavailable(f"The {self._name} service is not known at its address.", retry_after=5)
        now = self._clock()
        return min(
            self._replicas.values(),
            key=lambda each: (each is but, each.rests_until > now, each.outstanding, random.random()),
        )

    def has_other(self, replica: Replica) -> bool:
        return any(each is not replica for each in self._replicas.values())

    def rest(self, replica: Replica) -> None:
        """Keeps requests away from a replica that could not take one."""
        replica.rests_until = self._clock() + self._rest_s

    async def refresh(self) -> None:
        """Resolves the names now. A name that is not resolved keeps the addresses that it had."""
        for base in self._bases:
            found = await self._addresses(base)
            known = {address for of, address in self._replicas if of == base}
            if not found:
                continue
            for address in known - found:
                del self._replicas[base, address]
            for address in found - known:
                self._replicas[base, address] = Replica(base, address)

    async def _addresses(self, base: httpx.URL) -> set[str]:
        try:
            async with asyncio.timeout(_RESOLVE_PATIENCE_S):
                found = set(await self._resolve(base.host, base.port or _PORTS[base.scheme]))
        except OSError as error:  # TimeoutError is one
            if base not in self._unknown:
                log.warning("%s is not resolved: %s", base, type(error).__name__)
                self._unknown.add(base)
            return set()
        self._unknown.discard(base)
        return found
