"""Settings of the retrieval service, read from environment variables with the prefix RETRIEVAL_."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode, SettingsConfigDict

from imagetext.index.remote.location import Location, parse_location
from imagetext.wire.errors import InvalidParameter
from services.chassis.serve import ServerSettings


def _location(value: object) -> object:
    try:
        return parse_location(value) if isinstance(value, str) else value
    except InvalidParameter as error:
        raise ValueError(error.detail) from None


class Settings(ServerSettings):
    model_config = SettingsConfigDict(env_prefix="RETRIEVAL_")

    port: int = Field(8002, ge=0, le=65_535)
    model: str = Field("models/retrieval", min_length=1, description="a model folder, or a CLIP by folder or hub id")
    index: Annotated[Location, NoDecode, BeforeValidator(_location)] = Field(
        Path("data/index"),
        description="folder of the index, which may be empty at first, or s3://…, or milvus+http://…",
    )
    milvus_token: SecretStr = Field(SecretStr(""), description="an API key or USER:PASSWORD, if Milvus needs one")
    index_cache: Path = Field(
        Path("data/index-cache"), description="folder for copies of the versions of an object store"
    )
    index_keep: int = Field(3, ge=1, description="how many of the newest copies to keep")
    images_root: Path | None = Field(
        None, description="the indexed folder on this machine, if it has another path than when it was indexed"
    )
    poll_s: float = Field(1.0, gt=0, description="seconds between two checks for a newly published version")
    threads: int = Field(0, ge=0, le=256, description="threads of the model; 0 uses all cores")
    engines: Path = Field(Path("data/engines"), description="exported models and the engines chosen for them")
    exported: Path | None = Field(
        None, description="a read-only folder of exported models, such as a container image holds"
    )
    engine: str = Field("", description="the engine to use, such as openvino-f32; empty measures which is fastest")
    search_threads: int = Field(4, ge=1, le=64)
    decode_threads: int = Field(2, ge=1, le=64, description="pictures decoded at the same time")
    max_searches: int = Field(64, ge=1, description="searches at the same time; more are refused with 429")
    max_changes: int = Field(16, ge=1, description="requests to add or delete pictures at the same time")
    max_additions: int = Field(20_000, ge=0, description="pictures that may be added until the indexer has to run")
    max_decodes: int = Field(256, ge=1, description="thumbnails in the making or waiting at the same time")
    queue_size: int = Field(64, ge=1, description="queries that may wait for the model")
    max_batch: int = Field(0, ge=0, le=256, description="queries in one batch; 0 uses the measured best")
    max_picture_bytes: int = Field(20_000_000, ge=1)
    max_picture_pixels: int = Field(50_000_000, ge=1)
    thumbnail_cache_bytes: int = Field(64_000_000, ge=0)
    deadline_s: float = Field(10.0, gt=0, description="seconds from the complete request to the answer")
