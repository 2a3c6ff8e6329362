"""The gateway's settings, read from environment variables with the prefix GATEWAY_."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, DirectoryPath, Field, SecretStr
from pydantic_settings import NoDecode, SettingsConfigDict

from services.chassis.serve import ServerSettings


def _base_addresses(value: object) -> object:
    if not isinstance(value, str):
        return value
    addresses = tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
    if not all(_is_base_address(address) for address in addresses):
        raise ValueError("must be http://host:port, or several of them separated by commas")
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
    web_folder: DirectoryPath | None = Field(None, description="the page to serve; unset if another server does")
    max_requests: int = Field(
        64, ge=1, description="requests with pictures that are worked on at once; more are refused"
    )
    operator_key: SecretStr | None = Field(
        None, min_length=1, description="allows whoever sends it to change the index; unset, nobody may"
    )
    deadline_s: Seconds = Field(30, description="seconds from the end of an upload to the answer")

    caption_url: BaseAddresses = Field(
        ("http://127.0.0.1:8001",), description="base addresses, separated by commas; each name may have many replicas"
    )
    retrieval_url: BaseAddresses = Field(("http://127.0.0.1:8002",), description="as caption_url")
    connect_timeout_s: Seconds = 1
    read_timeout_s: Seconds = Field(30, description="seconds without a byte of a service's reply")
    poll_s: Seconds = Field(0.5, description="seconds between two polls of the services for their models and index")

    redis_url: str | None = Field(
        None, pattern="^(redis|rediss|unix)://", description="where the cache is; without it, in this process's memory"
    )
    redis_timeout_s: Seconds = Field(0.1, description="a slower cache saves nothing")
    cache_ttl_s: int = Field(86_400, ge=1)
    cache_max_entries: int = Field(20_000, ge=1, description="of the cache in memory")
    cache_max_bytes: int = Field(128_000_000, ge=1, description="of the cache in memory")

    fetch_max_bytes: int = Field(20_000_000, ge=1, description="of a picture fetched by its address")
    fetch_timeout_s: Seconds = Field(10, description="for a whole fetch, redirects included")
