"""What operators see and do: the versions of the index, the switch between them, and the build that runs.

Who may publish is decided at the public door; this service's own port is not public.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as PathParameter

from imagetext.contracts import (
    MAX_SKIPPED,
    VERSION_PATTERN,
    BuildStatus,
    IndexVersions,
    Published,
    PublishRequest,
    SkippedPage,
)
from imagetext.errors import NotFound
from services.chassis.not_stored import not_stored
from services.retrieval.index_folder import IndexFolder

index_router = APIRouter(prefix="/v1/index", tags=["index"], dependencies=[Depends(not_stored)])


@index_router.get("/versions")
async def versions(request: Request) -> IndexVersions:
    """All versions, newest first, and which of them is published and open."""
    return await _folder(request).versions()


@index_router.get("/versions/{version}/skipped")
async def skipped(
    request: Request,
    version: Annotated[str, PathParameter(pattern=VERSION_PATTERN)],
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_SKIPPED)] = 100,
) -> SkippedPage:
    """The files that a version left out, each with its reason."""
    return await _folder(request).skipped(version, offset, limit)


@index_router.get("/build")
async def build(request: Request) -> BuildStatus:
    """How far the running build is."""
    return await _folder(request).build()


@index_router.post("/publish")
async def publish(request: Request, body: PublishRequest) -> Published:
    """Verify a version and make it the current one."""
    return await _folder(request).publish(body.version)


@index_router.post("/rollback")
async def roll_back(request: Request) -> Published:
    """Publish the version before the current one."""
    return await _folder(request).roll_back()


def _folder(request: Request) -> IndexFolder:
    """Raises NotFound where the versions lie in no folder that this service reads."""
    folder: IndexFolder | None = request.state.retrieval.folder
    if folder is None:
        raise NotFound("The versions of this index lie in no folder of this service: use `python -m indexer`.")
    return folder
