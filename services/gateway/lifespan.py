"""What the gateway is made of, and what runs from its start to its end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Self, TypedDict

import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter

from imagetext.wire.contracts import Models
from imagetext.wire.guarded_transport import Resolve
from imagetext.wire.index import IndexInfo
from services.chassis.limits import Admission
from services.gateway.cache import Cache, MemoryCache
from services.gateway.fetch import Fetcher
from services.gateway.images import Changes
from services.gateway.picture_answers import CAPTION, LABEL, PictureAnswers
from services.gateway.replicas import Replicas
from services.gateway.searches import Searches
from services.gateway.settings import Settings
from services.gateway.transport import ServiceTransport
from services.gateway.upstream import Upstream
from services.gateway.watched import Watched, polled, repeat

_RESOLVE_EVERY_S = 3.0
_MAX_CONNECTIONS = 100  # to one service
_MAX_STREAMS = 50  # connections for pictures: apart, so that slow readers keep no search waiting
_POOL_TIMEOUT_S = 5.0  # for one of these connections to be free
_IDLE_S = 1.5  # less than the services' own limit (gunicorn: 2), so that they never close a connection that we use


class State(TypedDict):
    """What a request finds in `request.state`."""

    captions: PictureAnswers
    labels: PictureAnswers
    searches: Searches
    fetcher: Fetcher
    caption: Upstream
    retrieval: Upstream
    admission: Admission
    operator_key: str | None
    changes: Changes
    deadline_s: float


@dataclass(frozen=True)
class GatewayMetrics:
    lookups: Counter  # by `kind` (caption, label, search) and `outcome` (hit, miss)
    cache_errors: Counter
    retries: Counter

    @classmethod
    def register(cls, registry: CollectorRegistry) -> Self:
        return cls(
            lookups=Counter("gateway_cache_lookups", "Answers looked up", ["kind", "outcome"], registry=registry),
            cache_errors=Counter("gateway_cache_errors", "Failed calls to Redis", registry=registry),
            retries=Counter("gateway_upstream_retries", "Requests sent a second time", registry=registry),
        )


@dataclass(frozen=True)
class Service:
    """One of the services behind the gateway."""

    upstream: Upstream
    replicas: Replicas


@dataclass(frozen=True)
class Gateway:
    state: State
    services: tuple[Service, Service]
    models: Watched[Models]  # of the caption service
    encoders: Watched[Models]  # of the retrieval service
    index: Watched[IndexInfo]
    cache: Cache

    def not_ready(self) -> dict[str, str]:
        parts = {"caption": self.models.trouble, "retrieval": self.index.trouble}
        return {name: trouble for name, trouble in parts.items() if trouble is not None}

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[State]:
        steps = [
            *(repeat(each.replicas.refresh, partial(asyncio.sleep, _RESOLVE_EVERY_S)) for each in self.services),
            repeat(self.models.refresh, self.models.pause),
            repeat(self.encoders.refresh, self.encoders.pause),
            repeat(self.index.refresh, self.index.pause),
        ]
        tasks = [asyncio.create_task(step) for step in steps]
        try:
            yield self.state
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for service in self.services:
                await service.upstream.close()
            await self.state["fetcher"].close()
            await self.cache.close()


def build_gateway(
    settings: Settings,
    registry: CollectorRegistry,
    *,
    transport: httpx.AsyncBaseTransport | None,
    resolve: Resolve,
    fetcher: Fetcher | None,
) -> Gateway:
    """Puts the parts together; nothing is opened yet."""
    metrics = GatewayMetrics.register(registry)
    service = partial(_service, settings=settings, metrics=metrics, transport=transport, resolve=resolve)
    caption = service("caption", bases=settings.caption_url)
    retrieval = service("retrieval", bases=settings.retrieval_url)
    models = Watched("caption", polled(caption.upstream, Models, "/v1/models"), every_s=settings.poll_s)
    encoders = Watched("label", polled(retrieval.upstream, Models, "/v1/models"), every_s=settings.poll_s)
    index = Watched("retrieval", polled(retrieval.upstream, IndexInfo, "/v1/index"), every_s=settings.poll_s)
    cache = _cache(settings, metrics)
    state = State(
        captions=PictureAnswers(CAPTION, caption.upstream, models, cache, metrics.lookups),
        labels=PictureAnswers(LABEL, retrieval.upstream, encoders, cache, metrics.lookups),
        searches=Searches(retrieval.upstream, index, cache, metrics.lookups),
        fetcher=fetcher or Fetcher(max_bytes=settings.fetch_max_bytes, timeout_s=settings.fetch_timeout_s),
        caption=caption.upstream,
        retrieval=retrieval.upstream,
        admission=Admission(settings.max_requests),
        operator_key=None if settings.operator_key is None else settings.operator_key.get_secret_value(),
        changes=Changes(retrieval.upstream, index),
        deadline_s=settings.deadline_s,
    )
    return Gateway(state, (caption, retrieval), models, encoders, index, cache)


def _service(
    name: str,
    *,
    bases: tuple[str, ...],
    settings: Settings,
    metrics: GatewayMetrics,
    transport: httpx.AsyncBaseTransport | None,
    resolve: Resolve,
) -> Service:
    replicas = Replicas(name, bases, resolve=resolve)
    upstream = Upstream(
        name,
        transport=transport or ServiceTransport(max_connections=_MAX_CONNECTIONS, idle_s=_IDLE_S),
        streaming=transport or ServiceTransport(max_connections=_MAX_STREAMS, idle_s=_IDLE_S),
        replicas=replicas,
        timeout=httpx.Timeout(settings.read_timeout_s, connect=settings.connect_timeout_s, pool=_POOL_TIMEOUT_S),
        retries=metrics.retries,
    )
    return Service(upstream, replicas)


def _cache(settings: Settings, metrics: GatewayMetrics) -> Cache:
    if settings.redis_url is not None:
        from services.gateway.redis_cache import RedisCache

        return RedisCache(
            settings.redis_url,
            ttl_s=settings.cache_ttl_s,
            timeout_s=settings.redis_timeout_s,
            errors=metrics.cache_errors,
        )
    return MemoryCache(
        max_entries=settings.cache_max_entries, max_bytes=settings.cache_max_bytes, ttl_s=settings.cache_ttl_s
    )
