"""The retrieval service's part of the public API: search, pictures with ETags, the open index, the models."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Query as QueryParameter
from fastapi.responses import StreamingResponse
from starlette.responses import Response

from imagetext.wire.contracts import Models
from imagetext.wire.index import IndexInfo
from imagetext.wire.query import Part, parts_with_picture
from imagetext.wire.search import (
    INDEX_VERSION_HEADER,
    MAX_SEARCH_FIELD_BYTES,
    ImageSearchOptions,
    SearchOptions,
    SearchReply,
    SearchRequest,
)
from services.chassis.app import DirectRoute
from services.chassis.bodies import documented_form, documented_json, read_form, read_json
from services.chassis.disconnect import while_connected
from services.chassis.picture_requests import query_parts
from services.retrieval.lifespan import Retrieval
from services.retrieval.picture_files import OpenPicture
from services.retrieval.picture_shelf import FULL_SIDE, stream

# A picture may be replaced under its id, so a copy is asked about again after a while; the answer is then a 304.
_CACHE_CONTROL = "public, max-age=300"


def caching_headers(tag: str) -> dict[str, str]:
    return {"ETag": f'"{tag}"', "Cache-Control": _CACHE_CONTROL, "X-Content-Type-Options": "nosniff"}


def is_unchanged(request: Request, tag: str) -> bool:
    """Whether the client says that it has the content of this tag."""
    sent = request.headers.get("If-None-Match", "")
    known = {each.strip().removeprefix("W/") for each in sent.split(",")}
    return f'"{tag}"' in known or "*" in known


def not_modified(tag: str) -> Response:
    return Response(status_code=304, headers=caching_headers(tag))


router = APIRouter(prefix="/v1", tags=["retrieval"])
search_router = APIRouter(prefix="/v1", tags=["retrieval"], route_class=DirectRoute)

_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture", "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "The client has it already"},
}


_UPLOAD_BODY = documented_form(ImageSearchOptions.form_properties(), max_pictures=1)


@search_router.post("/search", response_model=SearchReply, openapi_extra=documented_json(SearchRequest))
async def search(request: Request) -> Response:
    """Pictures that fit words, pictures, or several of both, best first."""
    retrieval: Retrieval = request.state.retrieval
    with retrieval.admission.enter():
        body = await read_json(request, SearchRequest)
        return await _found(request, await query_parts(body), body)


@search_router.post("/search/image", response_model=SearchReply, openapi_extra=_UPLOAD_BODY)
async def search_image(request: Request) -> Response:
    """Pictures that are like the uploaded one, and fit what is sent with it."""
    retrieval: Retrieval = request.state.retrieval
    with retrieval.admission.enter():
        [picture], options = await read_form(
            request, ImageSearchOptions, max_pictures=1, max_option_bytes=MAX_SEARCH_FIELD_BYTES
        )
        return await _found(request, parts_with_picture(picture, options), options)


async def _found(request: Request, parts: Sequence[Part], options: SearchOptions) -> Response:
    retrieval: Retrieval = request.state.retrieval
    reply = await while_connected(request, retrieval.searching.search(parts, options))
    headers = {INDEX_VERSION_HEADER: reply.index.version}
    return Response(reply.model_dump_json(), media_type="application/json", headers=headers)


@router.get("/images/{id}", response_class=Response, responses=_PICTURE)
async def image(id: str, request: Request) -> Response:
    """The file of an indexed picture; a JPEG of it where browsers do not show its format."""
    retrieval: Retrieval = request.state.retrieval
    picture = await retrieval.shelf.open(id)
    if picture.media_type is None:
        return await _jpeg(request, picture, FULL_SIDE)
    if is_unchanged(request, picture.tag):
        picture.file.close()
        return not_modified(picture.tag)
    headers = caching_headers(picture.tag) | {"Content-Length": str(picture.size)}
    return StreamingResponse(stream(picture), media_type=picture.media_type, headers=headers)


@router.get("/images/{id}/thumbnail", response_class=Response, responses=_PICTURE)
async def thumbnail(id: str, request: Request, size: Annotated[int, QueryParameter(ge=64, le=1024)] = 320) -> Response:
    """The picture upright and small, as a JPEG that fits into a square of `size` pixels."""
    retrieval: Retrieval = request.state.retrieval
    return await _jpeg(request, await retrieval.shelf.open(id), size)


@router.get("/index")
async def index(request: Request) -> IndexInfo:
    """The index version that is searched."""
    retrieval: Retrieval = request.state.retrieval
    return await retrieval.index.use(lambda reader: reader.info)


@router.get("/models")
async def models(request: Request) -> Models:
    """The encoder that is loaded."""
    retrieval: Retrieval = request.state.retrieval
    return Models(models=[retrieval.queries.model])


async def _jpeg(request: Request, picture: OpenPicture, size: int) -> Response:
    retrieval: Retrieval = request.state.retrieval
    tag = f"{picture.tag}-{size}"
    with picture:
        if is_unchanged(request, tag):
            return not_modified(tag)
        content = await while_connected(request, retrieval.shelf.jpeg(picture, size))
    return Response(content, media_type="image/jpeg", headers=caching_headers(tag))
