"""What operators may do: add and delete pictures, and switch between the versions of the index.

The gateway checks the operator key; this service's own port is not public.
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as PathParameter
from starlette.responses import Response

from imagetext.wire.contracts import MAX_PICTURES
from imagetext.wire.errors import NotFound
from imagetext.wire.index import (
    MAX_METADATA_BYTES,
    MAX_SKIPPED,
    VERSION_PATTERN,
    AddOptions,
    AddReply,
    BuildStatus,
    DeleteReply,
    IndexVersions,
    Published,
    PublishRequest,
    SkippedPage,
)
from imagetext.wire.search import INDEX_VERSION_HEADER
from services.chassis.app import not_stored
from services.chassis.bodies import documented_form, read_upload
from services.retrieval.index_folder import IndexFolder
from services.retrieval.lifespan import Retrieval
from services.retrieval.new_pictures import new_pictures
from services.retrieval.picture_changes import PictureChanges

change_router = APIRouter(prefix="/v1", tags=["images"])

_ADD_BODY = documented_form(AddOptions.model_json_schema()["properties"], max_pictures=MAX_PICTURES)


@change_router.post("/images", response_model_exclude_none=True, openapi_extra=_ADD_BODY)
async def add(request: Request, response: Response) -> AddReply:
    """Adds 1 to 16 pictures to the index, or replaces those of the same paths."""
    retrieval: Retrieval = request.state.retrieval
    with retrieval.change_admission.enter():
        upload = await read_upload(request, max_pictures=MAX_PICTURES, max_option_bytes=MAX_METADATA_BYTES)
        reply = await _changes(retrieval).add(await asyncio.to_thread(new_pictures, upload))
    response.headers[INDEX_VERSION_HEADER] = reply.index.version
    return reply


@change_router.delete("/images/{id}")
async def delete(id: str, request: Request, response: Response) -> DeleteReply:
    """Deletes a picture from the index."""
    retrieval: Retrieval = request.state.retrieval
    with retrieval.change_admission.enter():
        reply = await _changes(retrieval).delete(id)
    response.headers[INDEX_VERSION_HEADER] = reply.index.version
    return reply


def _changes(retrieval: Retrieval) -> PictureChanges:
    """Raises NotFound where the versions lie in no folder that this service writes."""
    if retrieval.changes is None:
        raise NotFound("This index lies in no folder of this service: only the indexer changes it.")
    return retrieval.changes


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
