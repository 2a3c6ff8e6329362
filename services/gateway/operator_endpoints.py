"""What operators may do: add and delete pictures, and switch between the versions of the index."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as PathParameter

from imagetext.wire.contracts import MAX_PICTURES
from imagetext.wire.errors import Forbidden, NotFound, Unauthorized
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
from services.chassis.app import not_stored
from services.chassis.bodies import documented_form, read_form
from services.chassis.limits import Admission
from services.gateway.images import Changes, checked_id
from services.gateway.messages import json_body
from services.gateway.upstream import Deadline, Upstream

_ADD_BODY = documented_form(AddOptions.model_json_schema()["properties"], max_pictures=MAX_PICTURES)


def require_operator(request: Request) -> None:
    """A dependency of the endpoints that change something.

    Raises:
        Forbidden: no key is set, so nobody may.
        Unauthorized: the key is missing or wrong.
    """
    key: str | None = request.state.operator_key
    if key is None:
        raise Forbidden("Changes are switched off. To allow them, start the gateway with GATEWAY_OPERATOR_KEY set.")
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    # As the bytes that HTTP carried, in a time that does not depend on how much of the key is right.
    is_right = secrets.compare_digest(sent.strip().encode("latin-1"), key.encode())
    if scheme.lower() != "bearer" or not is_right:
        raise Unauthorized("The operator's key is missing or wrong. Send it as `Authorization: Bearer KEY`.")


change_router = APIRouter(prefix="/v1", dependencies=[Depends(require_operator)], tags=["images"])
index_router = APIRouter(prefix="/v1/index", tags=["index"], dependencies=[Depends(not_stored)])


@change_router.post("/images", response_model_exclude_none=True, openapi_extra=_ADD_BODY)
async def add(request: Request) -> AddReply:
    """Adds 1 to 16 pictures to the index, or replaces those of the same paths: one result or error for each, in order.

    They are on disk, and searches find them, before the reply.
    """
    changes: Changes = request.state.changes
    admission: Admission = request.state.admission
    with admission.enter():
        pictures, options = await read_form(
            request, AddOptions, max_pictures=MAX_PICTURES, max_option_bytes=MAX_METADATA_BYTES
        )
        return await changes.add(pictures, options, Deadline.after(request.state.deadline_s))


@change_router.delete("/images/{image_id}")
async def delete(request: Request, image_id: str) -> DeleteReply:
    """Deletes a picture from the index; after the reply no search finds it."""
    changes: Changes = request.state.changes
    return await changes.delete(checked_id(image_id), Deadline.after(request.state.deadline_s))


@index_router.get("/versions")
async def versions(request: Request) -> IndexVersions:
    """All versions, newest first, and which one is published and which is open."""
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
