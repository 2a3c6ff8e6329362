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

from imagetext.wire.errors import Unavailable
from imagetext.wire.guarded_transport import Resolve

_RESOLVE_TIMEOUT_S = 5.0
_AVOIDED_S = 5.0
_PORTS = {"http": 80, "https": 443}
_CACHED_URLS = 128  # of one replica

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Replica:
    """One process behind a service's name: `base` with an IP address in place of the name."""

    base: httpx.URL
    address: str
    outstanding: int = 0
    avoided_until: float = 0.0

    def __post_init__(self) -> None:
        self.host = self.base.netloc.decode("ascii")  # with the port, as a request names it
        self.server_name = self.base.raw_host.decode("ascii")
        # Building a URL costs more than looking it up.
        self.at = lru_cache(_CACHED_URLS)(self._at)

    @property
    def url(self) -> httpx.URL:
        return self.base.copy_with(host=self.address)

    def _at(self, path: str) -> httpx.URL:
        """The URL of a path, which is quoted and may have a query."""
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

    A container runtime gives all replicas of a service one name. Kept connections would stay with the replica that
    they found first, so the name is resolved here, again every few seconds (the owner calls `refresh`), and the
    replica with the fewest outstanding requests is chosen.
    """

    def __init__(
        self,
        name: str,
        bases: Sequence[str],
        *,
        resolve: Resolve,
        avoided_s: float = _AVOIDED_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._bases = [httpx.URL(base) for base in bases]
        self._resolve = resolve
        self._avoided_s = avoided_s
        self._clock = clock
        self._replicas: dict[tuple[httpx.URL, str], Replica] = {}
        self._unknown: set[httpx.URL] = set()

    async def choose(self, but: Replica | None = None) -> Replica:
        """The least busy replica; `but`, and those to avoid, only when there is no other. Raises Unavailable."""
        if not self._replicas:
            await self.refresh()
        if not self._replicas:
            raise Unavailable(f"The address of the {self._name} service is not known.", retry_after=5)
        now = self._clock()
        return min(
            self._replicas.values(),
            key=lambda each: (each is but, each.avoided_until > now, each.outstanding, random.random()),
        )

    def has_other(self, replica: Replica) -> bool:
        return any(each is not replica for each in self._replicas.values())

    def avoid(self, replica: Replica) -> None:
        """Keeps requests away for a while from a replica that could not take one."""
        replica.avoided_until = self._clock() + self._avoided_s

    async def refresh(self) -> None:
        """Resolves the names. A name that cannot be resolved keeps the addresses that it had."""
        for base in self._bases:
            found = await self._addresses(base)
            known = {address for known_base, address in self._replicas if known_base == base}
            if not found:
                continue
            for address in known - found:
                del self._replicas[base, address]
            for address in found - known:
                self._replicas[base, address] = Replica(base, address)

    async def _addresses(self, base: httpx.URL) -> set[str]:
        try:
            async with asyncio.timeout(_RESOLVE_TIMEOUT_S):
                found = set(await self._resolve(base.host, base.port or _PORTS[base.scheme]))
        except OSError as error:  # TimeoutError is one
            if base not in self._unknown:
                log.warning("cannot resolve %s: %s", base, type(error).__name__)
                self._unknown.add(base)
            return set()
        self._unknown.discard(base)
        return found
