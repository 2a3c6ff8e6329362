"""Pictures to captions: decoded in a pool, captioned in batches on one thread.

Two bounds hold a request: `Admission` at the door and the batcher's queue before the model. The pool needs none of its
own: at most `max_requests` times 16 pictures wait for it, whose bytes are in memory already.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from imagetext.models.batcher import Batcher
from imagetext.models.captioner.engine import Captioner, DecodedCaption, DecodingOptions
from imagetext.pictures import Limits, open_picture
from imagetext.wire.captions import Caption, CaptionOptions, CaptionReply, CaptionResult, Word
from imagetext.wire.contracts import LoadedModel, ModelInfo
from imagetext.wire.errors import Busy, DeadlineExceeded, NotFound, Unavailable
from services.caption.settings import Settings
from services.chassis.observing import ModelMetrics
from services.chassis.problems import report_problem

UNMEASURED_BATCH = 8  # pictures, where neither a setting nor a measurement gives a number


@dataclass(frozen=True)
class _Key:
    """Pictures with the same key may share a batch."""

    model: str
    options: DecodingOptions


@dataclass(frozen=True)
class _Prepared:
    model_input: NDArray[Any]
    width: int
    height: int


class Captioning:
    """The captioners with the pool and the queue in front of them; the first captioner is the default."""

    def __init__(self, settings: Settings, metrics: ModelMetrics) -> None:
        self._captioners: dict[str, Captioner] = {}
        self._deadline_s = settings.deadline_s
        self._max_batch = settings.max_batch
        self._limits = Limits(settings.max_picture_bytes, settings.max_picture_pixels)
        self._pool = ThreadPoolExecutor(settings.decode_threads, "decode")
        self._batcher: Batcher[_Key, NDArray[Any], list[DecodedCaption]] = Batcher(
            self._run_batch,
            max_batch=self._batch_size,
            queue_size=settings.queue_size,
            observe=metrics.observe,
        )
        metrics.watch(lambda: self._batcher.waiting)

    def start(self, captioners: Sequence[Captioner]) -> None:
        self._captioners = {captioner.name: captioner for captioner in captioners}
        self._batcher.start()

    async def warm_up(self) -> None:
        """Captions a blank picture with each model: the first pass is much slower than the next."""
        for name, captioner in self._captioners.items():
            blank = await asyncio.to_thread(captioner.prepare, Image.new("RGB", (64, 64), "grey"))
            await self._batcher.submit(_Key(name, DecodingOptions()), blank)

    async def stop(self) -> None:
        await self._batcher.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def not_ready(self) -> dict[str, str]:
        return {} if self._batcher.alive else {"model": "The caption model does not answer."}

    @property
    def models(self) -> list[LoadedModel]:
        return [
            LoadedModel(
                name=captioner.name,
                kind="captioner",
                fingerprint=captioner.fingerprint,
                parameters=captioner.parameters,
                default=place == 0,
                networks={name: loaded.info for name, loaded in captioner.engines.items()},
            )
            for place, captioner in enumerate(self._captioners.values())
        ]

    async def caption(self, pictures: Sequence[bytes], options: CaptionOptions) -> CaptionReply:
        """One result for each picture, in order; a picture that fails has its error there.

        Raises:
            NotFound: there is no model of that name.
            Busy, Unavailable: the model cannot take all the pictures.
            DeadlineExceeded: not done within `deadline_s`.
            ImageTextError: the error of the only picture.
        """
        model = self._find(options.model)
        key = _Key(model.name, _decoding(options))
        tasks = [asyncio.create_task(self._caption_one(key, picture)) for picture in pictures]
        try:
            async with asyncio.timeout(self._deadline_s):
                outcomes = await asyncio.gather(*tasks)
        except TimeoutError:
            raise DeadlineExceeded(f"No caption was ready within {self._deadline_s:g} seconds.") from None
        finally:
            for task in tasks:
                task.cancel()
        return CaptionReply(model=model, results=_results(outcomes))

    async def _caption_one(self, key: _Key, picture: bytes) -> CaptionResult | Exception:
        loop = asyncio.get_running_loop()
        try:
            prepared = await loop.run_in_executor(self._pool, self._prepare, key.model, picture)
            decoded = await self._batcher.submit(key, prepared.model_input)
        except (Busy, Unavailable):  # not the picture's fault: the whole request fails
            raise
        except Exception as error:
            return error
        captions = [_caption(each) for each in decoded]
        return CaptionResult(captions=captions, width=prepared.width, height=prepared.height)

    def _prepare(self, model: str, picture: bytes) -> _Prepared:
        """In the pool."""
        captioner = self._captioners[model]
        opened = open_picture(picture, self._limits, target=captioner.decoded_side)
        width, height = opened.info["full_size"]
        return _Prepared(captioner.prepare(opened), width, height)

    def _run_batch(self, key: _Key, inputs: list[NDArray[Any]]) -> list[list[DecodedCaption]]:
        """On the model's thread."""
        return self._captioners[key.model].caption(inputs, key.options)

    def _batch_size(self, key: _Key) -> int:
        return self._max_batch or self._captioners[key.model].best_batch or UNMEASURED_BATCH

    def _find(self, name: str | None) -> ModelInfo:
        for model in self.models:
            if model.name == name or (name is None and model.default):
                return model
        raise NotFound("There is no model of this name; GET /v1/models lists them.")


def _decoding(options: CaptionOptions) -> DecodingOptions:
    return DecodingOptions(
        num_captions=options.num_captions,
        num_beams=max(options.num_beams, options.num_captions),
        max_new_tokens=options.max_new_tokens,
        attention=options.attention,
    )


def _results(outcomes: Sequence[CaptionResult | Exception]) -> list[CaptionResult]:
    if len(outcomes) == 1 and isinstance(outcomes[0], Exception):
        raise outcomes[0]
    return [
        CaptionResult(error=report_problem(outcome)) if isinstance(outcome, Exception) else outcome
        for outcome in outcomes
    ]


def _caption(decoded: DecodedCaption) -> Caption:
    words = None
    if any(word.attention is not None for word in decoded.words):
        words = [Word(text=word.text, attention=word.attention) for word in decoded.words]
    return Caption(text=decoded.text, score=decoded.score, confidence=decoded.confidence, words=words)
