"""POST /v1/labels: names for what is in a picture."""

import asyncio
from collections.abc import Sequence

import numpy as np
from fastapi import APIRouter, Request
from numpy.typing import NDArray

from imagetext.models.encoder.calibration import Labels
from imagetext.wire.captions import Label, LabelJSONRequest, LabelOptions, LabelReply, LabelResult
from imagetext.wire.contracts import MAX_PICTURES
from imagetext.wire.errors import Busy, DeadlineExceeded, InvalidParameter, Unavailable
from services.chassis.bodies import documented_form
from services.chassis.disconnect import while_connected
from services.chassis.picture_requests import read_pictures
from services.chassis.problems import report_problem
from services.retrieval.query_encoder import EncodedPicture, QueryEncoder, Vector

label_router = APIRouter(prefix="/v1", tags=["labels"])
DEFAULT_SCALE = 100.0  # of the cosine similarities of a CLIP without labels of its own (Radford et al., 2021, 3.1.2)
AT_ONCE = 16  # names that wait for the text network together

_BODY = documented_form(LabelOptions.form_properties(), max_pictures=MAX_PICTURES, or_json=LabelJSONRequest)


@label_router.post("/labels", response_model_exclude_none=True, openapi_extra=_BODY)
async def labels(request: Request) -> LabelReply:
    """Names for what is in 1 to 16 pictures, likeliest first: of those the model knows, or of those in `labels`."""
    labelling: Labelling = request.state.retrieval.labelling
    with request.state.retrieval.admission.enter():
        pictures, options = await read_pictures(request, LabelOptions, LabelJSONRequest, max_pictures=MAX_PICTURES)
        return await while_connected(request, labelling.label(pictures, options))


class Labelling:
    """Asks the encoder for its own names, or compares pictures with names that are given."""

    def __init__(self, queries: QueryEncoder, deadline_s: float) -> None:
        self._queries = queries
        self._deadline_s = deadline_s

    async def label(self, pictures: Sequence[bytes], options: LabelOptions) -> LabelReply:
        """One result for each picture, in order; one that fails has its error there.

        Raises:
            ImageTextError: the error of the only picture, or what kept all of them from an answer.
        """
        known = self._known(options)
        try:
            async with asyncio.timeout(self._deadline_s):
                texts = await self._texts(options)
                outcomes = await asyncio.gather(*(self._encoded(picture) for picture in pictures))
        except TimeoutError:
            raise DeadlineExceeded(f"No label was ready within {self._deadline_s:g} seconds.") from None
        if len(outcomes) == 1 and isinstance(outcomes[0], Exception):
            raise outcomes[0]
        results = [
            LabelResult(error=report_problem(outcome))
            if isinstance(outcome, Exception)
            else _result(outcome, known, options, texts)
            for outcome in outcomes
        ]
        return LabelReply(model=self._queries.model.without_networks(), results=results)

    def _known(self, options: LabelOptions) -> Labels:
        found = self._queries.encoder.labels
        if found is not None:
            return found
        if options.labels is None:
            raise InvalidParameter("Field `labels` is missing: this model knows no names of its own.")
        return Labels((), DEFAULT_SCALE)

    async def _texts(self, options: LabelOptions) -> NDArray[np.float32]:
        """The vectors of the names that are given, (n, dimensions)."""
        texts = [options.prompt.replace("{}", name) for name in options.labels or ()]
        found: list[Vector] = []
        for start in range(0, len(texts), AT_ONCE):  # others are let in between
            found += await asyncio.gather(*map(self._queries.encode_text, texts[start : start + AT_ONCE]))
        return np.stack(found) if found else np.empty((0, 0), dtype=np.float32)

    async def _encoded(self, picture: bytes) -> EncodedPicture | Exception:
        try:
            return await self._queries.encode_sized(picture)
        except (Busy, Unavailable):  # this says nothing of the picture: the whole request fails
            raise
        except Exception as error:
            return error


def _result(picture: EncodedPicture, known: Labels, options: LabelOptions, texts: NDArray[np.float32]) -> LabelResult:
    if options.labels is not None:
        found = known.among(picture.vector, options.labels, texts, options.k)
    else:
        assert picture.log_probabilities is not None, "a model with labels gives their probabilities"
        found = known.likeliest(picture.log_probabilities, options.k)
    width, height = picture.size
    labels = [Label(name=name, probability=round(probability, 4)) for name, probability in found]
    return LabelResult(labels=labels, width=width, height=height)
