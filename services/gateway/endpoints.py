"""The public API."""

import asyncio
import time
from contextlib import nullcontext
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from imagetext.wire.captions import (
    CaptionOptions,
    CaptionReply,
    LabelJSONRequest,
    LabelledCaptionJSONRequest,
    LabelledCaptionOptions,
    LabelOptions,
    LabelReply,
)
from imagetext.wire.contracts import MAX_PICTURES, Models
from imagetext.wire.errors import ImageTextError
from imagetext.wire.index import IndexInfo
from imagetext.wire.search import MAX_SEARCH_FIELD_BYTES, ImageSearchOptions, SearchReply, SearchRequest
from services.chassis.app import DirectRoute
from services.chassis.bodies import AT_ONCE_BYTES, documented_form, documented_json, read_form, read_json
from services.chassis.disconnect import while_connected
from services.chassis.limits import Admission
from services.chassis.picture_requests import read_picture_request
from services.gateway.fetch import Fetcher
from services.gateway.images import checked_id, relay_image
from services.gateway.picture_answers import Answer, PictureAnswers, Source, with_labels
from services.gateway.searches import Search, Searches, search_by_picture, search_by_request, with_time
from services.gateway.upstream import Deadline, Upstream

CACHE_HEADER = "X-Cache"

_CAPTION_BODY = documented_form(
    LabelledCaptionOptions.model_json_schema()["properties"],
    max_pictures=MAX_PICTURES,
    or_json=LabelledCaptionJSONRequest,
)
_IMAGE_SEARCH_BODY = documented_form(ImageSearchOptions.form_properties(), max_pictures=1)
_LABEL_BODY = documented_form(LabelOptions.form_properties(), max_pictures=MAX_PICTURES, or_json=LabelJSONRequest)

router = APIRouter(prefix="/v1")
search_router = APIRouter(prefix="/v1", tags=["search"], route_class=DirectRoute)


@router.post(
    "/captions",
    response_model=CaptionReply,
    response_model_exclude_none=True,
    openapi_extra=_CAPTION_BODY,
    tags=["captions"],
)
async def caption(request: Request) -> Response:
    """Captions for 1 to 16 pictures: one result or one error for each, in order."""
    admission: Admission = request.state.admission
    with admission.enter():
        pictures, options = await read_picture_request(
            request, LabelledCaptionOptions, LabelledCaptionJSONRequest, max_pictures=MAX_PICTURES
        )
        answer = await while_connected(request, _caption(request, pictures, options))
    return _json(answer.reply, answer.source)


async def _caption(request: Request, sent: list[bytes] | str, options: LabelledCaptionOptions) -> Answer:
    deadline = _deadline(request)
    pictures = await _fetched(request, sent, deadline)
    captions: PictureAnswers = request.state.captions
    labels: PictureAnswers = request.state.labels
    caption_options = CaptionOptions(**options.model_dump(exclude={"labels"}))
    if not options.labels:
        return await captions.answer(pictures, caption_options, deadline)
    answers = await asyncio.gather(
        captions.answer(pictures, caption_options, deadline),
        labels.answer(pictures, LabelOptions.model_validate({}), deadline),
    )
    return await asyncio.to_thread(with_labels, *answers)  # it may parse megabytes of attention maps


@router.post(
    "/labels",
    response_model=LabelReply,
    response_model_exclude_none=True,
    openapi_extra=_LABEL_BODY,
    tags=["labels"],
)
async def label(request: Request) -> Response:
    """Labels for 1 to 16 pictures, likeliest first: from the words that the model knows, or from those in `labels`."""
    admission: Admission = request.state.admission
    with admission.enter():
        pictures, options = await read_picture_request(
            request, LabelOptions, LabelJSONRequest, max_pictures=MAX_PICTURES
        )
        answer = await while_connected(request, _label(request, pictures, options))
    return _json(answer.reply, answer.source)


async def _label(request: Request, sent: list[bytes] | str, options: LabelOptions) -> Answer:
    labels: PictureAnswers = request.state.labels
    deadline = _deadline(request)
    return await labels.answer(await _fetched(request, sent, deadline), options, deadline)


async def _fetched(request: Request, sent: list[bytes] | str, deadline: Deadline) -> list[bytes]:
    """The pictures that were sent, or the one at the address that was sent."""
    fetcher: Fetcher = request.state.fetcher
    return [await fetcher.fetch(sent, deadline)] if isinstance(sent, str) else sent


@search_router.post("/search", response_model=SearchReply, openapi_extra=documented_json(SearchRequest))
async def search(request: Request) -> Response:
    """The indexed pictures that fit words, pictures, or several of both, best first."""
    admission: Admission = request.state.admission
    with admission.enter() if _may_hold_pictures(request) else nullcontext():
        return await _searched(request, await search_by_request(await read_json(request, SearchRequest)))


@search_router.post("/search/image", response_model=SearchReply, openapi_extra=_IMAGE_SEARCH_BODY)
async def search_by_image(request: Request) -> Response:
    """The indexed pictures that look like the one sent and fit the words sent with it, best first."""
    admission: Admission = request.state.admission
    with admission.enter():
        [picture], options = await read_form(
            request, ImageSearchOptions, max_pictures=1, max_option_bytes=MAX_SEARCH_FIELD_BYTES
        )
        return await _searched(request, await search_by_picture(picture, options))


def _may_hold_pictures(request: Request) -> bool:
    """Whether the body is longer than any words, or of unknown length."""
    announced = request.headers.get("Content-Length", "")
    return not announced.isdecimal() or int(announced) > AT_ONCE_BYTES


async def _searched(request: Request, search: Search) -> Response:
    searches: Searches = request.state.searches
    start = time.perf_counter()
    source: Source = "hit"
    reply = await searches.look_up(search)
    if reply is None:
        source, reply = "miss", await while_connected(request, searches.find(search, _deadline(request)))
    return _json(with_time(reply, time.perf_counter() - start), source)


def _json(content: bytes, source: Source) -> Response:
    return Response(content, media_type="application/json", headers={CACHE_HEADER: source})


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
    path = f"/v1/images/{checked_id(image_id)}/thumbnail" + ("" if size is None else f"?size={size}")
    return await relay_image(retrieval, path, deadline=_deadline(request), headers=request.headers)


@router.get("/models", tags=["models"])
async def models(request: Request) -> Models:
    """The models of both services; one that does not answer is left out, and /health/ready says why."""
    services: tuple[Upstream, ...] = (request.state.caption, request.state.retrieval)
    deadline = _deadline(request)
    answers = await asyncio.gather(*(_models_of(service, deadline) for service in services))
    errors = [answer for answer in answers if isinstance(answer, ImageTextError)]
    if len(errors) == len(services):
        raise errors[0]
    return Models(models=[model for answer in answers if isinstance(answer, Models) for model in answer.models])


async def _models_of(service: Upstream, deadline: Deadline) -> Models | ImageTextError:
    try:
        return await service.get(Models, "/v1/models", deadline)
    except ImageTextError as error:
        return error


@router.get("/index", tags=["models"])
async def index(request: Request) -> IndexInfo:
    """The index version that answers searches."""
    retrieval: Upstream = request.state.retrieval
    return await retrieval.get(IndexInfo, "/v1/index", _deadline(request))


def _deadline(request: Request) -> Deadline:
    return Deadline.after(request.state.deadline_s)
