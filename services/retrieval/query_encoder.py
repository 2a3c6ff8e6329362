"""Words and pictures to vectors: pictures decoded in a pool, all encoded in batches on one thread."""

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

NO_TIME_S = 0.002  # waking a thread and being woken takes a tenth of it, and all who come meanwhile wait no longer
SHORT = 80  # bytes of a text, which has no more tokens then than the one that was measured, or few more
UNMEASURED_BATCH = 16  # queries, where nobody measured and nobody said

Vector = NDArray[np.float32]  # (dimensions,), of unit length


@dataclass(frozen=True)
class EncodedPicture:
    """`log_probabilities` (names,) of a model that has labels; `size` is the upright (width, height) in pixels."""

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
            at_once=self._takes_no_time,
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
        """Raises Busy, Unavailable, or what is wrong with the picture."""
        return (await self.encode_sized(picture)).vector

    async def encode_sized(self, picture: bytes) -> EncodedPicture:
        """As `encode_picture`, with all that is known of the picture then."""
        prepared, size = await asyncio.get_running_loop().run_in_executor(self._pool, self._prepare, picture)
        vector, log_probabilities = await self._batcher.submit("picture", prepared)
        return EncodedPicture(vector, log_probabilities, size)

    def _prepare(self, picture: bytes) -> tuple[NDArray[Any], tuple[int, int]]:
        """In the pool."""
        decoded = open_picture(picture, self._limits, target=self.encoder.decoded_side)
        return self.encoder.prepare(decoded), decoded.info["full_size"]

    def _batch_size(self, kind: Kind) -> int:
        return self._max_batch or self.encoder.best_batch(kind) or UNMEASURED_BATCH

    def _takes_no_time(self, kind: Kind, item: Any) -> bool:
        """Never a picture: whether the event loop waits for it must not depend on a tenth of a millisecond."""
        return kind == "text" and len(item.encode()) <= SHORT and self.encoder.seconds_alone(kind) <= NO_TIME_S

    def _run_batch(self, kind: Kind, items: list[Any]) -> Sequence[Any]:
        """On the model's thread: of a text its vector, of a picture also the log probabilities of its labels."""
        if kind == "text":
            return list(self.encoder.encode_texts(items))
        if self.encoder.labels is None:
            return [(row, None) for row in self.encoder.encode_pictures(items)]
        found = self.encoder.encode_with_labels(items)
        assert found.log_probabilities is not None, "a model with labels gives their probabilities"
        return list(zip(found.rows, found.log_probabilities, strict=True))
