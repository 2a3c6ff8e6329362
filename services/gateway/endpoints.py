"""The public API."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from imagetext.contracts import CaptionOptions, CaptionReply, IndexInfo, Models, SearchReply, SearchRequest
from imagetext.errors import ImageTextError
from services.chassis.admission import Admission
from services.chassis.disconnect import while_connected
from services.gateway.answer import Answer
from services.gateway.caption_requests import caption_body, read_caption_request
from services.gateway.captions import Captions
from services.gateway.deadline import Deadline
from services.gateway.fetch import Fetcher
from services.gateway.image_search_requests import image_search_body, read_image_search
from services.gateway.images import checked_id, relay_image
from services.gateway.searches import Searches
from services.gateway.upstream import Upstream

CACHE_HEADER = "X-Cache"

router = APIRouter(prefix="/v1")


@router.post("/captions", response_model_exclude_none=True, openapi_extra=caption_body(), tags=["captions"])
async def caption(request: Request, response: Response) -> CaptionReply:
    """Captions for 1 to 16 pictures: one result or one error for each, in order."""
    admission: Admission = request.state.admission
    with admission.enter():
        pictures, options = await read_caption_request(request)
        answer = await while_connected(request, _caption(request, pictures, options))
    response.headers[CACHE_HEADER] = answer.source
    return answer.reply


async def _caption(request: Request, pictures: list[bytes] | str, options: CaptionOptions) -> Answer[CaptionReply]:
    captions: Captions = request.state.captions
    fetcher: Fetcher = request.state.fetcher
    deadline = _deadline(request)
    if isinstance(pictures, str):
        pictures = [await fetcher.fetch(pictures, deadline)]
    return await captions.answer(pictures, options, deadline)


@router.post("/search", tags=["search"])
async def search(request: Request, response: Response, search: SearchRequest) -> SearchReply:
    """The indexed pictures that fit the words, or that are like another indexed picture, best first."""
    searches: Searches = request.state.searches
    answer = await while_connected(request, searches.by_request(search, _deadline(request)))
    response.headers[CACHE_HEADER] = answer.source
    return answer.reply


@router.post("/search/image", openapi_extra=image_search_body(), tags=["search"])
async def search_by_image(request: Request, response: Response) -> SearchReply:
    """The indexed pictures that are like the one sent, best first."""
    searches: Searches = request.state.searches
    admission: Admission = request.state.admission
    with admission.enter():
        picture, page = await read_image_search(request)
        answer = await while_connected(request, searches.by_picture(picture, page, _deadline(request)))
    response.headers[CACHE_HEADER] = answer.source
    return answer.reply


@router.get("/images/{image_id}", response_class=Response, tags=["images"])
async def image(request: Request, image_id: str) -> Response:
    """An indexed picture as it is on disk."""
    retrieval: Upstream = request.state.retrieval
    path = f"/v1/images/{checked_id(image_id)}"
    return await relay_image(retrieval, path, deadline=_deadline(request), headers=request.headers)


@router.get("/images/{image_id}/thumbnail", response_class=Response, tags=["images"])
async def thumbnail(
    request: Request, image_id: str, size: Annotated[int | None, Query(ge=64, le=1024)] = None
) -> Response:
    """An indexed picture upright and small, as a JPEG that fits into a square of `size` pixels."""
    retrieval: Upstream = request.state.retrieval
    path = f"/v1/images/{checked_id(image_id)}/thumbnail"
    params = {} if size is None else {"size": str(size)}
    return await relay_image(retrieval, path, deadline=_deadline(request), headers=request.headers, params=params)


@router.get("/models", tags=["models"])
async def models(request: Request) -> Models:
    """What both services have loaded; one that does not answer is left out, and /health/ready says why."""
    services: tuple[Upstream, ...] = (request.state.caption, request.state.retrieval)
    deadline = _deadline(request)
    answers = await asyncio.gather(*(_models_of(service, deadline) for service in services))
    errors = [answer for answer in answers if isinstance(answer, ImageTextError)]
    if len(errors) == len(services):
        raise errors[0]
    return Models(models=[model for answer in answers if isinstance(answer, Models) for model in answer.models])


async def _models_of(service: Upstream, deadline: Deadline) -> Models | ImageTextError:
    try:
        return await service.ask(Models, "GET", "/v1/models", deadline=deadline)
    except ImageTextError as error:
        return error


@router.get("/index", tags=["models"])
async def index(request: Request) -> IndexInfo:
    """The index version that searches are answered from."""
    retrieval: Upstream = request.state.retrieval
    return await retrieval.ask(IndexInfo, "GET", "/v1/index", deadline=_deadline(request))


def _deadline(request: Request) -> Deadline:
    return Deadline.after(request.state.deadline_s)
