"""The JSON that the services speak, written once; both sides of every call import it from here."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NaiveDatetime, field_validator
from pydantic_core import from_json

from imagetext.wire.search_filter import SearchFilter, Tag

INDEX_VERSION_HEADER = "X-Index-Version"  # of a search's response, so that a proxy need not parse it

MAX_PICTURES = 16  # in one request
MAX_QUERY_CHARACTERS = 2_000
MAX_QUERY_PARTS = 16
MAX_WEIGHT = 10.0
MAX_HITS = 200
MAX_OFFSET = 10_000
MAX_SEARCH_FIELD_BYTES = 100_000  # of a form field: the longest filter with every letter escaped, and a margin
MAX_SKIPPED = 1_000  # files of one page
VERSION_PATTERN = r"^\d{8}T\d{6}Z-[0-9a-f]{6}$"


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


# Captions


class Label(Contract):
    name: str
    probability: float = Field(description="that it is this, and none of the others")


class CaptionOptions(Contract):
    """How captions are decoded; the names are those of transformers' `generate`."""

    model: str | None = Field(None, max_length=200, description="a name from /v1/models; the default when left out")
    num_captions: int = Field(1, ge=1, le=5)
    num_beams: int = Field(3, ge=1, le=10)
    max_new_tokens: int = Field(20, ge=1, le=60)
    attention: bool = Field(False, description="return the attention of each word")


class CaptionJSONRequest(CaptionOptions):
    """The JSON form of a caption request: one picture, by address or in base64 (a data: URI works too)."""

    url: str | None = Field(None, max_length=2_000)
    image: str | None = None


class LabelledCaptionOptions(CaptionOptions):
    """Options of the gateway, which asks the retrieval service for labels."""

    labels: bool = Field(False, description="add the five likeliest names for what is in the picture")


class LabelledCaptionJSONRequest(LabelledCaptionOptions):
    """As CaptionJSONRequest."""

    url: str | None = Field(None, max_length=2_000)
    image: str | None = None


class Word(Contract):
    """One word of a caption. `attention` is a grid of rows over the whole upright picture, summing to 1."""

    text: str
    attention: list[list[float]] | None = None


class Caption(Contract):
    """`score` is the mean log probability of the tokens, end token included: exp(score) lies in (0, 1]. `confidence` is
    the probability that a person would call the caption right; null if it was not fitted for the model."""

    text: str
    score: float
    confidence: float | None = None
    words: list[Word] | None = None


class CaptionResult(Contract):
    """The outcome for one picture: captions with the upright size in pixels, and labels if asked for; or an error."""

    captions: list[Caption] | None = None
    labels: list[Label] | None = None
    width: int | None = None
    height: int | None = None
    error: Problem | None = None


class CaptionReply(Contract):
    model: ModelInfo
    results: list[CaptionResult]


# Labels

MAX_LABELS = 200  # names that a caller gives
LABEL_PROMPT = "a photo of a {}"
LabelName = Annotated[str, Field(min_length=1, max_length=200)]


class LabelOptions(Contract):
    """The names to choose from: those that the model knows or, in any words, those in `labels`."""

    labels: list[LabelName] | None = Field(
        None, min_length=1, max_length=MAX_LABELS, description="a list of names; in a form it is JSON"
    )
    k: int = Field(5, ge=1, le=100, description="how many per picture, likeliest first")
    prompt: str = Field(
        LABEL_PROMPT,
        pattern=r"^[^{}]*\{\}[^{}]*$",
        max_length=200,
        description="the sentence that a name of `labels` is put into",
    )

    @field_validator("labels", mode="before")
    @classmethod
    def _read_labels(cls, value: object) -> object:
        return from_json(value) if isinstance(value, str) else value

    @classmethod
    def form_properties(cls) -> dict[str, object]:
        """The documentation of the fields of a form."""
        labels = {"type": "string", "description": 'a list of names in JSON: ["cat", "my red bicycle"]'}
        properties: dict[str, object] = cls.model_json_schema()["properties"]
        return properties | {"labels": labels}


class LabelJSONRequest(LabelOptions):
    """The JSON form of a label request: one picture, by address or in base64 (a data: URI works too)."""

    url: str | None = Field(None, max_length=2_000)
    image: str | None = None


class LabelResult(Contract):
    """The outcome for one picture: either labels with the upright size in pixels, or an error."""

    labels: list[Label] | None = None
    width: int | None = None
    height: int | None = None
    error: Problem | None = None


class LabelReply(Contract):
    model: ModelInfo
    results: list[LabelResult]


# Retrieval

HitCount = Annotated[int, Field(ge=1, le=MAX_HITS)]


Relevance = Annotated[float, Field(ge=0, le=1)]
PictureId = Annotated[str, Field(max_length=64)]


class QueryPart(Contract):
    """One part of a query: exactly one of `text` (literal, without special characters), `like` (the id of an indexed
    picture) and `image` (base64, or a data: URI). A part with a negative weight is unwanted."""

    text: str | None = Field(None, max_length=MAX_QUERY_CHARACTERS)
    like: PictureId | None = None
    image: str | None = None
    weight: float = Field(1.0, ge=-MAX_WEIGHT, le=MAX_WEIGHT, description="not 0")


class SearchOptions(Contract):
    """The options of every search."""

    k: HitCount = 12
    offset: int = Field(0, ge=0, le=MAX_OFFSET)
    filter: SearchFilter | None = Field(None, description="only pictures that meet all conditions")
    hybrid: bool = Field(False, description="also rank by the words of captions, tags and paths; needs `text`")
    min_relevance: Relevance = Field(0.0, description="hits below it are left out before pages are cut")
    collapse_duplicates: bool = Field(False, description="show near-duplicates as one hit that lists the others")


class SearchRequest(SearchOptions):
    """At least one part: `text`, `like`, `image`, or several in `parts`; those given together are searched together.

    In `text` a word or a quoted phrase after a minus is unwanted: `beach -people -"red umbrella"`.
    """

    text: str | None = Field(None, max_length=MAX_QUERY_CHARACTERS)
    like: PictureId | None = Field(None, description="the id of an indexed picture, which is not among its own hits")
    image: str | None = Field(None, description="a picture in base64, or in a data: URI")
    parts: list[QueryPart] = Field([], max_length=MAX_QUERY_PARTS)


class ImageSearchOptions(SearchOptions):
    """The option fields of POST /v1/search/image. `filter` is JSON in a form field."""

    text: str | None = Field(None, max_length=MAX_QUERY_CHARACTERS)
    like: PictureId | None = None

    @field_validator("filter", mode="before")
    @classmethod
    def _read_filter(cls, value: object) -> object:
        return from_json(value) if isinstance(value, str) else value

    @classmethod
    def form_properties(cls) -> dict[str, object]:
        """The documentation of the fields of a form."""
        filter = {"type": "string", "description": "JSON, as in POST /v1/search"}
        properties: dict[str, object] = cls.model_json_schema()["properties"]
        return properties | {"filter": filter}


class Hit(Contract):
    """`score` is the cosine similarity, `relevance` its calibrated probability of a match, in [0, 1]. `duplicates` are
    the ids of the near-duplicates that a hit stands for if they are collapsed. `taken` is the time on the camera's
    clock; `captions` are the first three stored ones."""

    id: str
    path: str  # relative to the indexed folder, with forward slashes
    score: float
    relevance: float
    url: str
    thumbnail_url: str
    width: int
    height: int
    taken: NaiveDatetime | None = None
    tags: list[str] = []
    captions: list[str] = []
    duplicates: list[str] = []


class IndexInfo(Contract):
    """A published index version. If it changed since it was built, `version` ends in +POSITION of the last change, and
    `added` and `removed` count the changed pictures.

    `recall` and the following fields were measured when it was built, one query at a time: recall@10 against exact
    search, the speed of both, and the bytes that should stay in memory."""

    version: str
    size: int
    kind: str = "flat"
    encoder: str = ""
    fingerprint: str = ""
    created: datetime | None = None
    skipped: int = 0
    added: int = 0
    removed: int = 0
    recall: float | None = None
    queries_per_second: float | None = None
    exact_queries_per_second: float | None = None
    memory_bytes: int | None = None


class IndexVersion(Contract):
    """A version in the list of versions, with measurements as in IndexInfo. `error` says why it cannot serve; of a
    damaged version only the name may be known."""

    version: str
    current: bool
    error: str | None = None
    size: int | None = None
    kind: str | None = None
    encoder: str | None = None
    fingerprint: str | None = None
    format: int | None = None
    created: datetime | None = None
    skipped: int | None = None
    recall: float | None = None
    queries_per_second: float | None = None
    exact_queries_per_second: float | None = None
    memory_bytes: int | None = None


class IndexVersions(Contract):
    """All versions, newest first. `current` is the published one, `previous` the target of a rollback, `open` the one
    that serves searches; `refusal` says why the published one is not open."""

    current: str | None
    previous: str | None
    open: str | None
    refusal: str | None
    versions: list[IndexVersion]


class SkippedPath(Contract):
    path: str  # relative to the indexed folder
    reason: str


class SkippedPage(Contract):
    """Files that a version skipped, from `offset`, of `total`."""

    version: str
    total: int
    offset: int
    skipped: list[SkippedPath]


class PublishRequest(Contract):
    version: str = Field(pattern=VERSION_PATTERN)


class Published(Contract):
    version: str
    before: str | None  # the version that was current; None where there was none


BuildStage = Literal["preparing", "encoding", "writing", "tuning", "verifying", "publishing"]


class BuildProgress(Contract):
    """Progress of a build: `done` of `total` pictures; no total if the end of a stage is unknown. `rate` is in pictures
    per second, `error` the message that a build ended with."""

    stage: BuildStage
    done: int = 0
    total: int | None = None
    rate: float | None = None
    eta_s: float | None = None
    started: datetime
    updated: datetime
    error: str | None = None


class BuildStatus(Contract):
    """`running` is the current build, `stopped` the last one if it ended without a version; usually both are null."""

    running: BuildProgress | None = None
    stopped: BuildProgress | None = None


class IndexRef(Contract):
    version: str
    size: int


class SearchReply(Contract):
    index: IndexRef
    results: list[Hit]
    took_ms: float


# Changes of single pictures

MAX_PATH_BYTES = 1_000
MAX_METADATA_BYTES = 200_000  # of all pictures of a request together

MAX_PICTURE_CAPTIONS, MAX_CAPTION_CHARACTERS = 20, 2_000
MAX_PICTURE_TAGS = 100

Sentence = Annotated[str, Field(min_length=1, max_length=MAX_CAPTION_CHARACTERS)]


class PictureDescription(Contract):
    """Describes a new picture. `path` is its name in the index, which determines its id; without one it is named after
    its content."""

    path: str | None = None
    captions: list[Sentence] | None = Field(None, max_length=MAX_PICTURE_CAPTIONS)
    tags: list[Tag] | None = Field(None, max_length=MAX_PICTURE_TAGS)
    taken: datetime | None = None


class AddOptions(Contract):
    """The fields beside the pictures of POST /v1/images. `metadata` is JSON: one PictureDescription, or a list with one
    or null for each picture; `path` is a shorter way to name a single picture."""

    path: str | None = None
    metadata: str | None = None


class AddedPicture(Contract):
    """The outcome for one picture: where it is now, or an error. `replaced`: another picture had its path."""

    id: str | None = None
    path: str | None = None
    url: str | None = None
    thumbnail_url: str | None = None
    width: int | None = None
    height: int | None = None
    replaced: bool | None = None
    error: Problem | None = None


class AddReply(Contract):
    """`index` is the state that includes all the pictures."""

    index: IndexRef
    results: list[AddedPicture]


class DeleteReply(Contract):
    """`index` is the state without the picture."""

    index: IndexRef
    id: str


class Health(Contract):
    """`status` is "ok" or "unavailable"; `parts` says why, one sentence per part that is not ready."""

    status: str
    parts: dict[str, str] = {}
