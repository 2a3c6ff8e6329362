"""What the gateway can be told by its environment, each name with the prefix GATEWAY_."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, DirectoryPath, Field, SecretStr
from pydantic_settings import NoDecode, SettingsConfigDict

from imagetext.wire.contracts import MAX_PICTURES
from services.chassis.serve import ServerSettings

__all__ = ["MAX_PICTURES", "Settings"]


def _base_addresses(value: object) -> object:
    if not isinstance(value, str):
        return value
    addresses = tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
    if not all(_is_base_address(address) for address in addresses):
        raise ValueError("must be http://host:port, or several of them with commas between")
    return addresses


def _is_base_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        has_port = parts.port != 0
    except ValueError:
        return False
    only_base = not (parts.path or parts.query or parts.fragment or parts.username)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and has_port and only_base


BaseAddresses = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_base_addresses), Field(min_length=1)]
Seconds = Annotated[float, Field(gt=0, le=3_600)]


class Settings(ServerSettings):
    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    port: int = Field(8080, ge=0, le=65_535)
    web_folder: DirectoryPath | None = Field(None, description="the page to serve; none when another server does it")
    max_requests: int = Field(64, ge=1, description="uploads that may be held in memory at once; more are told to wait")
    operator_key: SecretStr | None = Field(
        None, min_length=1, description="who sends it may change the index; without one nobody may"
    )
    deadline_s: Seconds = Field(30, description="seconds from a whole upload to the answer")

    caption_url: BaseAddresses = Field(
        ("http://127.0.0.1:8001",), description="base addresses, separated by commas; each may stand for many replicas"
    )
    retrieval_url: BaseAddresses = Field(("http://127.0.0.1:8002",), description="as caption_url")
    connect_timeout_s: Seconds = 1
    read_timeout_s: Seconds = Field(30, description="seconds between two pieces of a service's answer")
    poll_s: Seconds = Field(0.5, description="a new model or index is known after so many seconds at the latest")
    caption_concurrency: int = Field(16, ge=1, description="caption requests that are sent on at once")
    caption_queue: int = Field(32, ge=0, description="caption requests that may wait for that; one more is refused")

    redis_url: str | None = Field(
        None, pattern="^(redis|rediss|unix)://", description="the cache; none keeps it in this process's memory"
    )
    redis_timeout_s: Seconds = Field(0.1, description="a cache that takes longer than this saves nothing")
    cache_ttl_s: int = Field(86_400, ge=1)
    cache_max_entries: int = Field(20_000, ge=1, description="of the cache in memory")
    cache_max_bytes: int = Field(128_000_000, ge=1, description="of the cache in memory")

    fetch_max_bytes: int = Field(20_000_000, ge=1, description="of a picture that is fetched by its address")
    fetch_timeout_s: Seconds = Field(10, description="for a whole fetch, redirects included")
