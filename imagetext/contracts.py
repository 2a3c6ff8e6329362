"""The JSON that the services speak, written once; both sides of every call import it from here."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

INDEX_VERSION_HEADER = "X-Index-Version"  # of a search's answer: who passes it on need not read it

MAX_QUERY_CHARACTERS = 2_000
MAX_QUERY_PARTS = 16
MAX_WEIGHT = 10.0
MAX_HITS = 200
MAX_OFFSET = 10_000


class Contract(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(Contract):
    """RFC 9457 problem details, sent as `application/problem+json`."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str | None = None


class ModelInfo(Contract):
    """A loaded model. `fingerprint` changes whenever an answer could."""

    name: str
    kind: str  # "captioner" or "encoder"
    fingerprint: str
    parameters: int
    default: bool = True


class Models(Contract):
    models: list[ModelInfo]


# Captions


class CaptionOptions(Contract):
    """How captions are decoded; the names are those of transformers' `generate`."""

    model: str | None = Field(None, max_length=200, description="a name from /v1/models; the default when left out")
    num_captions: int = Field(1, ge=1, le=5)
    num_beams: int = Field(3, ge=1, le=10)
    max_new_tokens: int = Field(20, ge=1, le=60)
    attention: bool = Field(False, description="return, for each word, where the model looked")


class CaptionJSONRequest(CaptionOptions):
    """The JSON form of a caption request: one picture, by address or in base64 (a data: URI works too)."""

    url: str | None = Field(None, max_length=2_000)
    image: str | None = None


class Word(Contract):
    """One word of a caption. `attention` is a grid of rows over the whole upright picture, summing to 1."""

    text: str
    attention: list[list[float]] | None = None


class Caption(Contract):
    """`score` is the mean log probability of the tokens, end token included: exp(score) lies in (0, 1]."""

    text: str
    score: float
    words: list[Word] | None = None


class CaptionResult(Contract):
    """The outcome for one picture: either captions with the upright size in pixels, or an error."""

    captions: list[Caption] | None = None
    width: int | None = None
    height: int | None = None
    error: Problem | None = None


class CaptionReply(Contract):
    model: ModelInfo
    results: list[CaptionResult]


# Retrieval

HitCount = Annotated[int, Field(ge=1, le=MAX_HITS)]


Relevance = Annotated[float, Field(ge=0, le=1)]
PictureId = Annotated[str, Field(max_length=64)]


class QueryPart(Contract):
    """One thing to search with: exactly one of `text` (taken word by word, whatever stands in it), `like` (the id of an
    indexed picture) and `image` (base64, or a data: URI). A part with a negative weight is searched away from."""

    text: str | None = Field(None, max_length=MAX_QUERY_CHARACTERS)
    like: PictureId | None = None
    image: str | None = None
    weight: float = Field(1.0, ge=-MAX_WEIGHT, le=MAX_WEIGHT, description="not 0")


class SearchOptions(Contract):
    """What every search may say beside its parts."""

    k: HitCount = 12
    offset: int = Field(0, ge=0, le=MAX_OFFSET)
    min_relevance: Relevance = Field(0.0, description="hits below it are left out before pages are cut")
    collapse_duplicates: bool = Field(False, description="near-duplicates are one hit, which names the others")


class SearchRequest(SearchOptions):
    """At least one part: `text`, `like`, `image`, or several in `parts`; those given together are searched together.

    In `text` a word or a quoted phrase after a minus is unwanted: `beach -people -"red umbrella"`.
    """

    text: str | None = Field(None, max_length=MAX_QUERY_CHARACTERS)
    like: PictureId | None = Field(None, description="the id of an indexed picture, which is not among its own hits")
    image: str | None = Field(None, description="a picture in base64, or in a data: URI")
    parts: list[QueryPart] = Field([], max_length=MAX_QUERY_PARTS)


class ImageSearchOptions(SearchOptions):
    """The option fields of POST /v1/search/image: what is searched together with the picture, and which hits."""

    text: str | None = Field(None, max_length=MAX_QUERY_CHARACTERS)
    like: PictureId | None = None


class Hit(Contract):
    """`score` is the cosine similarity, `relevance` its calibrated probability of a match, in [0, 1]. `duplicates` are
    the ids of the near-duplicates that a hit stands for, where they are collapsed."""

    id: str
    path: str  # relative to the indexed folder, with forward slashes
    score: float
    relevance: float
    url: str
    thumbnail_url: str
    width: int
    height: int
    duplicates: list[str] = []


class IndexInfo(Contract):
    """A published index version. The last four were measured when it was built, one query at a time: the part of the
    10 nearest that a search finds, its speed, that of exact search, and the bytes that are to stay in memory."""

    version: str
    size: int
    kind: str = "flat"
    encoder: str = ""
    fingerprint: str = ""
    created: datetime | None = None
    skipped: int = 0
    recall: float | None = None
    queries_per_second: float | None = None
    exact_queries_per_second: float | None = None
    memory_bytes: int | None = None


class IndexRef(Contract):
    version: str
    size: int


class SearchReply(Contract):
    index: IndexRef
    results: list[Hit]
    took_ms: float


class Health(Contract):
    """`status` is "ok" or "unavailable"; `parts` says why, one sentence per part that is not ready."""

    status: str
    parts: dict[str, str] = {}
