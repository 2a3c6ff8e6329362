"""What the gateway counts beside its requests."""

from dataclasses import dataclass
from typing import Self

from prometheus_client import CollectorRegistry, Counter


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
