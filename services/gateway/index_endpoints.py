"""The versions of the index: everybody may see them, operators may switch between them."""

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
from services.chassis.admission import Admission
from services.chassis.not_stored import not_stored
from services.gateway.deadline import Deadline
from services.gateway.operator_key import require_operator
from services.gateway.outgoing import json_body
from services.gateway.upstream import Upstream

index_router = APIRouter(prefix="/v1/index", tags=["index"], dependencies=[Depends(not_stored)])


@index_router.get("/versions")
async def versions(request: Request) -> IndexVersions:
    """All versions, newest first, and which of them is published and open."""
    return await _retrieval(request).get(IndexVersions, "/v1/index/versions", _deadline(request))


@index_router.get("/versions/{version}/skipped")
async def skipped(
    request: Request,
    version: Annotated[str, PathParameter(pattern=VERSION_PATTERN)],
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_SKIPPED)] = 100,
) -> SkippedPage:
    """The files that a version left out, each with its reason."""
    path = f"/v1/index/versions/{version}/skipped?offset={offset}&limit={limit}"
    return await _retrieval(request).get(SkippedPage, path, _deadline(request))


@index_router.get("/build")
async def build(request: Request) -> BuildStatus:
    """How far the running build is."""
    return await _retrieval(request).get(BuildStatus, "/v1/index/build", _deadline(request))


@index_router.post("/publish", dependencies=[Depends(require_operator)])
async def publish(request: Request, body: PublishRequest) -> Published:
    """Verify a version and make it the current one; needs the operator's key."""
    admission: Admission = request.state.admission
    with admission.enter():
        return await _publish(request, body, _deadline(request))


@index_router.post("/rollback", dependencies=[Depends(require_operator)])
async def roll_back(request: Request) -> Published:
    """Publish the version before the current one; needs the operator's key."""
    admission: Admission = request.state.admission
    deadline = _deadline(request)
    with admission.enter():
        listed = await _retrieval(request).get(IndexVersions, "/v1/index/versions", deadline)
        if listed.previous is None:
            raise NotFound("There is no version before the current one.")
        # By its name: a request may be sent a second time, and must not go back twice.
        return await _publish(request, PublishRequest(version=listed.previous), deadline)


async def _publish(request: Request, body: PublishRequest, deadline: Deadline) -> Published:
    retrieval = _retrieval(request)
    return retrieval.parsed(Published, await retrieval.post("/v1/index/publish", json_body(body), deadline))


def _retrieval(request: Request) -> Upstream:
    retrieval: Upstream = request.state.retrieval
    return retrieval


def _deadline(request: Request) -> Deadline:
    return Deadline.after(request.state.deadline_s)
