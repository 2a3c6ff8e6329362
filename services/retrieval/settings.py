"""What the retrieval service can be told by its environment, each name with the prefix RETRIEVAL_."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode, SettingsConfigDict

from imagetext.index.remote.places import Place, place_of
from imagetext.wire.errors import InvalidParameter
from services.chassis.serve import ServerSettings


def _place(value: object) -> object:
    try:
        return place_of(value) if isinstance(value, str) else value
    except InvalidParameter as error:
        raise ValueError(error.detail) from None


class Settings(ServerSettings):
    model_config = SettingsConfigDict(env_prefix="RETRIEVAL_")

    port: int = Field(8002, ge=0, le=65_535)
    model: str = Field("models/retrieval", min_length=1, description="a model folder, or a CLIP by folder or hub id")
    index: Annotated[Place, NoDecode, BeforeValidator(_place)] = Field(
        Path("data/index"),
        description="folder of the index, which may be empty at first; or s3://…, or milvus+http://…",
    )
    milvus_token: SecretStr = Field(SecretStr(""), description="an API key or USER:PASSWORD, for a Milvus that asks")
    index_cache: Path = Field(Path("data/index-cache"), description="where versions of an object store are copied to")
    index_keep: int = Field(3, ge=1, description="copies of an object store's versions that stay, the newest")
    images_root: Path | None = Field(
        None, description="where the indexed folder lies here, if not where it was indexed"
    )
    poll_s: float = Field(1.0, gt=0, description="seconds between two looks for a newly published version")
    threads: int = Field(0, ge=0, le=256, description="threads of one model step; 0 takes every core")
    engines: Path = Field(Path("data/engines"), description="exported models and the engines chosen for them")
    exported: Path | None = Field(None, description="a folder of exported models that an image carries; only read")
    engine: str = Field("", description="the one engine to use, as openvino-f32 or torch; empty measures them")
    search_threads: int = Field(4, ge=1, le=64)
    decode_threads: int = Field(2, ge=1, le=64, description="pictures that are decoded at once")
    max_searches: int = Field(64, ge=1, description="searches that may be worked on at once; more are told to wait")
    max_changes: int = Field(16, ge=1, description="requests to add or delete pictures that may be worked on at once")
    max_additions: int = Field(20_000, ge=0, description="pictures that may be added before the indexer has to run")
    max_decodes: int = Field(256, ge=1, description="thumbnails that may be worked on at once")
    queue_size: int = Field(64, ge=1, description="queries that may wait for the model")
    max_batch: int = Field(0, ge=0, le=256, description="queries in one batch; 0 takes what was measured here")
    max_picture_bytes: int = Field(20_000_000, ge=1)
    max_picture_pixels: int = Field(50_000_000, ge=1)
    thumbnail_cache_bytes: int = Field(64_000_000, ge=0)
    deadline_s: float = Field(10.0, gt=0, description="seconds from a whole query to the answer")
