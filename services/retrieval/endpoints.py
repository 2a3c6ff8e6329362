"""The retrieval service's part of the public API."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Query as QueryParameter
from fastapi.responses import StreamingResponse
from pydantic import Field, ValidationError
from starlette.responses import Response

from imagetext.contracts import (
    INDEX_VERSION_HEADER,
    MAX_OFFSET,
    Contract,
    HitCount,
    IndexInfo,
    Models,
    SearchReply,
    SearchRequest,
)
from imagetext.errors import InvalidParameter
from services.chassis.disconnect import while_connected
from services.chassis.forms import read_upload
from services.chassis.json_body import documented, read_json
from services.chassis.plain_route import PlainRoute
from services.chassis.problems import sentence_of
from services.retrieval.lifespan import Retrieval
from services.retrieval.picture_files import OpenPicture
from services.retrieval.picture_shelf import FULL_SIDE, stream
from services.retrieval.revalidation import caching_headers, is_unchanged, not_modified
from services.retrieval.searching import Like, Page, PictureFile, Query, Words

router = APIRouter(prefix="/v1", tags=["retrieval"])
plain_router = APIRouter(prefix="/v1", tags=["retrieval"], route_class=PlainRoute)

_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture", "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "The client has it already"},
}


class PageOptions(Contract):
    """The option fields of POST /v1/search/image."""

    k: HitCount = 12
    offset: int = Field(0, ge=0, le=MAX_OFFSET)


def _upload_body() -> dict[str, object]:
    """The upload's documentation, which FastAPI cannot tell from a body that is read by hand."""
    properties = {"image": {"type": "string", "format": "binary"}, **PageOptions.model_json_schema()["properties"]}
    form = {"type": "object", "required": ["image"], "properties": properties}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


@plain_router.post("/search", response_model=SearchReply, openapi_extra=documented(SearchRequest))
async def search(request: Request) -> Response:
    """Pictures that fit the words, or that are like an indexed picture."""
    retrieval: Retrieval = request.state.retrieval
    body = await read_json(request, SearchRequest)
    query = _query(body)
    with retrieval.admission.enter():
        return await _found(request, query, Page(body.k, body.offset, body.filter))


@plain_router.post("/search/image", response_model=SearchReply, openapi_extra=_upload_body())
async def search_image(request: Request) -> Response:
    """Pictures that are like the uploaded one."""
    retrieval: Retrieval = request.state.retrieval
    with retrieval.admission.enter():
        upload = await read_upload(request, max_pictures=1)
        try:
            options = PageOptions.model_validate(upload.options)
        except ValidationError as error:
            raise InvalidParameter(sentence_of(error.errors())) from None
        return await _found(request, PictureFile(upload.pictures[0]), Page(options.k, options.offset))


async def _found(request: Request, query: Query, page: Page) -> Response:
    retrieval: Retrieval = request.state.retrieval
    reply = await while_connected(request, retrieval.searching.search(query, page))
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


def _query(body: SearchRequest) -> Words | Like:
    if (body.text is None) == (body.like is None):
        raise InvalidParameter("Give exactly one of the fields `text` and `like`.")
    if body.like is not None:
        if body.hybrid:
            raise InvalidParameter("Field `hybrid`: it needs `text`.")
        return Like(body.like)
    text = (body.text or "").strip()
    if not text:
        raise InvalidParameter("Field `text` is empty.")
    return Words(text, body.hybrid)


async def _jpeg(request: Request, picture: OpenPicture, size: int) -> Response:
    retrieval: Retrieval = request.state.retrieval
    tag = f"{picture.tag}-{size}"
    with picture:
        if is_unchanged(request, tag):
            return not_modified(tag)
        content = await while_connected(request, retrieval.shelf.jpeg(picture, size))
    return Response(content, media_type="image/jpeg", headers=caching_headers(tag))
