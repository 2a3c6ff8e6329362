"""The settings that every service has; each adds its own and its prefix."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServerSettings(BaseSettings):
    # Without a file of its own: what a process runs with is what its environment says.
    model_config = SettingsConfigDict(env_ignore_empty=True, extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 in a container")
    port: int = Field(ge=0, le=65_535)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    grace_s: int = Field(30, ge=1, description="seconds that requests in flight get after SIGTERM")
    max_body_bytes: int = Field(25_000_000, ge=1)
