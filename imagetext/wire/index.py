"""The JSON of index versions, builds, and changes of single pictures."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from imagetext.wire.contracts import Contract, Problem
from imagetext.wire.search_filter import Tag

MAX_SKIPPED = 1_000  # files of one page


VERSION_PATTERN = r"^\d{8}T\d{6}Z-[0-9a-f]{6}$"


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
