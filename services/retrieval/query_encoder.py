"""Texts and pictures to vectors: pictures are decoded in a pool, and all are encoded in batches on one thread."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagetext.models.batcher import Batcher
from imagetext.models.encoder.engine import Encoder, Kind
from imagetext.pictures import Limits, open_picture
from imagetext.wire.contracts import LoadedModel
from imagetext.wire.errors import Unavailable
from services.chassis.observing import ModelMetrics
from services.retrieval.settings import Settings

# A lone text that takes less is encoded on the event loop: a hop to a thread takes 0.1 ms on an idle machine, and 5 to
# 20 ms at the 90th percentile when all cores are busy. Whoever arrives meanwhile would wait for the model anyway.
AT_ONCE_S = 0.002
SHORT = 80  # bytes of a text that has about as many tokens as the one that was measured, or fewer
UNMEASURED_BATCH = 16  # queries, if the best batch was neither measured nor set

Vector = NDArray[np.float32]  # (dimensions,), of unit length


@dataclass(frozen=True)
class EncodedPicture:
    """`log_probabilities` (names,) if the model has labels; `size` is the upright (width, height) in pixels."""

    vector: Vector
    log_probabilities: NDArray[np.float32] | None
    size: tuple[int, int]


class QueryEncoder:
    """The encoder, with the pool and the queue in front of it."""

    def __init__(self, settings: Settings, metrics: ModelMetrics) -> None:
        self._loaded: Encoder | None = None
        self._max_batch = settings.max_batch
        self._limits = Limits(settings.max_picture_bytes, settings.max_picture_pixels)
        self._pool = ThreadPoolExecutor(settings.decode_threads, "decode")
        self._batcher: Batcher[Kind, Any, Any] = Batcher(
            self._run_batch,
            max_batch=self._batch_size,
            queue_size=settings.queue_size,
            observe=metrics.observe,
            at_once=self._runs_at_once,
        )
        metrics.watch(lambda: self._batcher.waiting)

    @property
    def encoder(self) -> Encoder:
        """Raises Unavailable before start."""
        if self._loaded is None:
            raise Unavailable("The model is not loaded yet.")
        return self._loaded

    @property
    def model(self) -> LoadedModel:
        encoder = self.encoder
        return LoadedModel(
            name=encoder.name,
            kind="encoder",
            fingerprint=encoder.fingerprint,
            parameters=encoder.parameters,
            networks={name: loaded.info for name, loaded in encoder.engines.items()},
        )

    async def start(self, encoder: Encoder) -> None:
        self._loaded = encoder
        self._batcher.start()
        # The first pass through a model is much slower than the next: no caller should have to wait for it.
        await self.encode_text("a picture")
        blank = await asyncio.to_thread(encoder.prepare, Image.new("RGB", (64, 64), "grey"))
        await self._batcher.submit("picture", blank)

    async def stop(self) -> None:
        await self._batcher.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def not_ready(self) -> dict[str, str]:
        return {} if self._batcher.alive else {"model": "The retrieval model does not answer."}

    async def encode_text(self, text: str) -> Vector:
        """Raises Busy or Unavailable."""
        vector: Vector = await self._batcher.submit("text", text)
        return vector

    async def encode_picture(self, picture: bytes) -> Vector:
        """Raises Busy, Unavailable, or the error of the picture."""
        return (await self.encode_sized(picture)).vector

    async def encode_sized(self, picture: bytes) -> EncodedPicture:
        """As `encode_picture`, with the size and the labels of the picture."""
        prepared, size = await asyncio.get_running_loop().run_in_executor(self._pool, self._prepare, picture)
        vector, log_probabilities = await self._batcher.submit("picture", prepared)
        return EncodedPicture(vector, log_probabilities, size)

    def _prepare(self, picture: bytes) -> tuple[NDArray[Any], tuple[int, int]]:
        """In the pool."""
        decoded = open_picture(picture, self._limits, target=self.encoder.decoded_side)
        return self.encoder.prepare(decoded), decoded.info["full_size"]

    def _batch_size(self, kind: Kind) -> int:
        return self._max_batch or self.encoder.best_batch(kind) or UNMEASURED_BATCH

    def _runs_at_once(self, kind: Kind, item: Any) -> bool:
        """Never for a picture: its time is close to the limit, and varies."""
        return kind == "text" and len(item.encode()) <= SHORT and self.encoder.seconds_alone(kind) <= AT_ONCE_S

    def _run_batch(self, kind: Kind, items: list[Any]) -> Sequence[Any]:
        """On the model thread: the vector of each text; of each picture also the log probabilities of its labels."""
        if kind == "text":
            return list(self.encoder.encode_texts(items))
        if self.encoder.labels is None:
            return [(row, None) for row in self.encoder.encode_pictures(items)]
        found = self.encoder.encode_with_labels(items)
        assert found.log_probabilities is not None, "a model with labels gives their probabilities"
        return list(zip(found.rows, found.log_probabilities, strict=True))
