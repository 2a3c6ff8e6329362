"""What the JSON of all services shares: problems, models, health. Both sides of every call import the contracts."""

from pydantic import BaseModel, ConfigDict, Field

MAX_PICTURES = 16  # in one request


class Contract(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(Contract):
    """RFC 9457 problem details, sent as `application/problem+json`."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str | None = None


class NetworkInfo(Contract):
    """One network of a model: its chosen engine, and the time of one call."""

    engine: str = Field(description="such as openvino-f32 or onnxruntime")
    milliseconds: float | None = Field(None, description="of one example, as measured when the engine was chosen")
    refused: dict[str, str] = Field({}, description="engines that were tried and rejected, and why")


class ModelInfo(Contract):
    """A loaded model. `fingerprint` changes whenever an answer could."""

    name: str
    kind: str  # "captioner" or "encoder"
    fingerprint: str
    parameters: int
    default: bool = True


class LoadedModel(ModelInfo):
    """A model with the engines that run it."""

    networks: dict[str, NetworkInfo] = Field({}, description="by name")

    def without_networks(self) -> ModelInfo:
        """As it appears in a reply."""
        return ModelInfo(**self.model_dump(exclude={"networks"}))


class Models(Contract):
    models: list[LoadedModel]


class Health(Contract):
    """`status` is "ok" or "unavailable"; `parts` says why, one sentence per part that is not ready."""

    status: str
    parts: dict[str, str] = {}
