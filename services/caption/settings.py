"""The settings of the caption service: environment variables with the prefix CAPTION_."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from services.chassis.serve import ServerSettings

MAX_PICTURES = 16  # in one request


class Settings(ServerSettings):
    model_config = SettingsConfigDict(env_prefix="CAPTION_")

    port: int = Field(8001, ge=0, le=65_535)
    models: Annotated[tuple[str, ...], NoDecode] = Field(
        ("models/caption-vit-bert", "models/caption-gru"),
        min_length=1,
        description="model folders, separated by commas; the first is the default",
    )
    threads: int = Field(0, ge=0, le=256, description="threads of one model step; 0 takes every core")
    engines: Path = Field(Path("data/engines"), description="folder of exported models and the engines chosen for them")
    exported: Path | None = Field(None, description="read-only folder of exported models, as an image carries it")
    engine: str = Field("", description="the engine to use, such as openvino-f32 or torch; by default the fastest one")
    decode_threads: int = Field(2, ge=1, le=64, description="threads that decode pictures")
    max_requests: int = Field(64, ge=1, description="requests that are worked on at once; one more gets a 429")
    queue_size: int = Field(64, ge=MAX_PICTURES, description="pictures that wait for the model; one more is a 429")
    max_batch: int = Field(0, ge=0, le=256, description="pictures in one batch; 0 takes the fastest measured size")
    max_picture_bytes: int = Field(20_000_000, ge=1)
    max_picture_pixels: int = Field(50_000_000, ge=1)
    deadline_s: float = Field(30.0, gt=0, description="seconds from the end of the upload to the answer")

    @field_validator("models", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
