"""The JSON of searches."""

from typing import Annotated

from pydantic import Field, NaiveDatetime, field_validator
from pydantic_core import from_json

from imagetext.wire.contracts import Contract
from imagetext.wire.index import IndexRef
from imagetext.wire.search_filter import SearchFilter

INDEX_VERSION_HEADER = "X-Index-Version"  # of a search's response, so that a proxy need not parse it


MAX_QUERY_CHARACTERS = 2_000


MAX_QUERY_PARTS = 16


MAX_WEIGHT = 10.0


MAX_HITS = 200


MAX_OFFSET = 10_000


MAX_SEARCH_FIELD_BYTES = 100_000  # of a form field: the longest filter with every letter escaped, and a margin


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
    tags: list[str] = Field([])
    captions: list[str] = Field([])
    duplicates: list[str] = Field([])


class SearchReply(Contract):
    index: IndexRef
    results: list[Hit]
    took_ms: float
